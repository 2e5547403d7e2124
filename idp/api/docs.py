"""The documents about our APIs, and the page that shows them and lets people try."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from flask import Blueprint, Response, render_template, request

from idp.api import openapi
from idp.api.center.dialect import center
from idp.api.center.document import CenterWording
from idp.api.dialect import Dialect
from idp.api.openapi import Wording
from idp.api.userservice.dialect import userservice
from idp.api.userservice.document import UserServiceWording, described
from idp.platform.errors import NotFound
from idp.platform.web.views import current_issuer

CONTRACTS: Mapping[str, tuple[Callable[[], Dialect], Wording]] = {
    center.name: (lambda: center, CenterWording()),
    userservice.name: (described, UserServiceWording()),
}
"""Name of each document, with what it describes, once every operation is declared."""

CLIENT_ID = "api-docs"
"""Public client that the page signs people in with; seeded."""

REDIRECT_PATH = "/docs/oauth2-redirect"

blueprint = Blueprint("docs", __name__)


def document(name: str, issuer_url: str, *, indented: bool = False) -> bytes:
    """Give a document as an issuer serves it."""
    return openapi.fill_in(_encoded(name, indented=indented), issuer_url)


@cache
def _encoded(name: str, *, indented: bool) -> bytes:
    operations, wording = CONTRACTS[name]
    return openapi.encode(openapi.build(operations(), wording), indented=indented)


@blueprint.get("/openapi/<name>.json")
def serve(name: str) -> Response:
    """Serve a document; it changes with a release only."""
    if name not in CONTRACTS:
        raise NotFound
    response = Response(
        document(name, current_issuer().url),
        content_type="application/json",
        headers={"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"},
    )
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/docs")
def page() -> str:
    """Show a document, to read and to try; `contract` in the query names which."""
    chosen = request.args.get("contract", "")
    titles = {name: wording.title for name, (_, wording) in CONTRACTS.items()}
    if chosen not in titles:
        chosen = next(iter(titles))
    return render_template("api/docs.html", titles=titles, chosen=chosen, client_id=CLIENT_ID)


@blueprint.get(REDIRECT_PATH)
def redirect_back() -> str:
    """Hand the code over to the page that asked for it."""
    return render_template("api/redirect.html")
