"""Files are served to everyone, as attachments, from an origin without pages."""

from __future__ import annotations

from io import BytesIO

from flask import Blueprint, Response, redirect, send_file
from werkzeug.wrappers import Response as AnyResponse

from idp.platform.errors import NotFound
from idp.platform.web.views import current_runtime, database, find_current_issuer
from idp.publishing.files import service as files

POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

blueprint = Blueprint("files", __name__)


@blueprint.get("/files/<name>")
def show(name: str) -> AnyResponse:
    """Serve a file."""
    stored = files.find(database(), name)
    database().rollback()  # no open transaction while a remote store answers
    if stored is None:
        return missing()
    if current_runtime().settings.files_public_url and find_current_issuer() is not None:
        # At an issuer it would share the origin of the pages.
        return redirect(files.address(database(), stored, ""), 308)
    try:
        content = files.read(database(), stored)
    except NotFound:
        return missing()
    response = send_file(
        BytesIO(content),
        mimetype=stored.media_type,
        conditional=True,
        etag=stored.content_hash.hex(),
        last_modified=stored.created_at,
    )
    for field, value in files.headers(stored).items():
        response.headers[field] = value
    response.headers["Content-Security-Policy"] = POLICY
    # Pages of applications show pictures and play videos from here.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def missing() -> Response:
    """Refuse an unknown file in plain text; the host of files has no pages."""
    return Response("File not found.\n", 404, mimetype="text/plain")
