"""Files: public videos, documents and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from idp.api.center.codes import CodeShape
from idp.api.center.dialect import center
from idp.api.dialect import Upload
from idp.directory.scopes import Scope
from idp.platform.web.principal import current_principal
from idp.platform.web.uploads import Received
from idp.platform.web.views import current_issuer, database
from idp.platform.wire.shapes import text
from idp.publishing.files import kinds
from idp.publishing.files import service as files
from idp.publishing.files.kinds import Kind
from idp.publishing.files.service import FIELD, Infected, Sent

PER_MINUTE = 60


@center.operation(
    "file-post",
    "POST",
    "/File",
    scope=Scope.FILE_POST,
    permission=None,
    upload=Upload(FIELD, kinds.VIDEO, PER_MINUTE),
    result=text(allow_none=True),
)
def post(file: Received) -> str:
    """Upload a video or document.

    Up to 20,000,000 bytes for a video, 10,000,000 for a document (pdf, doc, docx). `data` is its
    public address.
    """
    return keep(file, kinds.FILES)


@center.operation(
    "file-image",
    "POST",
    "/File/Image",
    scope=Scope.FILE_IMAGE,
    permission=None,
    upload=Upload(FIELD, kinds.IMAGE, PER_MINUTE),
    result=text(allow_none=True),
)
def image(file: Received) -> str:
    """Upload an image.

    JPEG or PNG, up to 5,242,880 bytes. It is encoded again without metadata. `data` is its public
    address.
    """
    return keep(file, kinds.IMAGES)


@center.operation("file-codes", "GET", "/File/Codes", result=CodeShape(), form="bare")
def codes() -> list[Any]:
    """Error codes of the file module."""
    return []


def keep(file: Received, accepted: Sequence[Kind]) -> str:
    """Store a file of the caller and return its address."""
    principal = current_principal()
    session = database()
    sent = Sent(
        stream=file.stream,
        unverified_name=file.unverified_name,
        client_id=principal.client_id,
        user_id=principal.user_id,
        tenant_id=principal.own_tenant_id,
    )
    try:
        with files.keep(session, sent, accepted) as stored:
            session.commit()
    except Infected:
        files.note_infection(session, sent)
        session.commit()
        raise
    return files.address(session, stored, current_issuer().url)
