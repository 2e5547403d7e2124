"""Going back to the application without answering what it asks for."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from idp.oauth import pending
from idp.pages.pending import current_asking, resume
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("cancel", __name__)


@blueprint.post("/cancel")
@for_anyone
def cancel() -> Response:
    """Refuse the request that waits; nobody has to be signed in for that."""
    asking = current_asking()
    pending.refuse(database(), current_issuer(), asking.handle)
    database().commit()
    return resume(asking)
