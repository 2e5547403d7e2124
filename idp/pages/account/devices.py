"""What people do with their devices on the account pages; they are listed with the sessions."""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from idp.account import devices
from idp.directory.devices import service as rules
from idp.oauth import sign_out as signing_out
from idp.oauth.visitor import Visitor
from idp.pages import device
from idp.pages.account.views import SESSIONS, for_visitor
from idp.platform.integers import INT64_MAX
from idp.platform.sessions import cookie as cookies
from idp.platform.web.views import current_issuer, database

HOME = "/account/devices"

blueprint = Blueprint("devices", __name__)


@blueprint.post(f"{HOME}/<int:device_id>/remove")
@for_visitor
def remove(visitor: Visitor, device_id: int) -> Response:
    """Remove a device from the list; it is new at the next sign-in."""
    known = min(device_id, INT64_MAX)
    devices.remove(database(), current_issuer(), visitor.user, known)
    database().commit()
    return redirect(f"{SESSIONS}?notice=device-removed", 303)


@blueprint.post(f"{HOME}/this/sign-out")
@for_visitor
def sign_out(visitor: Visitor) -> Response:
    """Sign out in this browser and forget its device, with the wish to have it remembered."""
    session, issuer = database(), current_issuer()
    known = rules.find_known(session, issuer, visitor.user, device.cookie())
    if known is not None:
        devices.remove(session, issuer, visitor.user, known)
    signing_out.sign_out(session, visitor)
    session.commit()
    response = redirect("/signed-out", 303)
    cookies.delete_session(response, issuer)
    return response


@blueprint.post(f"{HOME}/stop-remembering")
@for_visitor
def stop_remembering(visitor: Visitor) -> Response:
    """Ask for the second factor again on all devices."""
    devices.stop_remembering(database(), current_issuer(), visitor.user)
    database().commit()
    return redirect(f"{SESSIONS}?notice=not-remembered", 303)
