"""Returning to the application without answering its request."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from idp.oauth import pending
from idp.pages.pending import current_authorization, resume
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("cancel", __name__)


@blueprint.post("/cancel")
@for_anyone
def cancel() -> Response:
    """Refuse the pending request; this needs no sign-in."""
    authorization = current_authorization()
    pending.refuse(database(), current_issuer(), authorization.handle)
    database().commit()
    return resume(authorization)
