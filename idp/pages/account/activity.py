"""The account page about what happened lately, in sentences."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from flask import Blueprint, request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.account import activity
from idp.account.activity import Happened
from idp.oauth.visitor import Visitor
from idp.pages.account.views import for_visitor, page
from idp.platform.audit.service import Position
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.web.views import database

HOME = "/account/activity"
BEFORE = "before"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = re.compile(r"([0-9]{1,17})-([0-9]{1,18})", re.ASCII)

SENTENCES = {
    Tag.ADDRESS_CHANGED: _("You changed an e-mail address or phone number."),
    Tag.ADDRESS_CHANGE_REFUSED: _("A change of an e-mail address or phone number was refused."),
    Tag.CONSENT_GIVEN: _("You allowed an application to access your account."),
    Tag.CONSENT_REVOKED: _("You removed the access of an application."),
    Tag.DEVICES_FORGOTTEN: _("The second step is asked for on all your devices again."),
    Tag.DEVICE_COPIED: _("The data of a device was used twice. The device was removed."),
    Tag.DEVICE_REMEMBERED: _("You chose not to be asked for the second step on a device."),
    Tag.DEVICE_REMOVED: _("You removed a device."),
    Tag.DEVICE_REVOKED: _("An administrator removed one of your devices."),
    Tag.FACTORS_RESET: _("An administrator removed your second step."),
    Tag.FACTOR_ADDED: _("You added a second step."),
    Tag.FACTOR_REFUSED: _("A code of your second step was refused."),
    Tag.FACTOR_REMOVED: _("You removed a second step."),
    Tag.GRANT_ENDED: _("An administrator signed you out of an application."),
    Tag.LEVEL_RAISED: _("You confirmed the second step."),
    Tag.PASSWORD_CHANGED: _("You changed your password."),
    Tag.PASSWORD_CHANGE_REFUSED: _("A change of your password was refused."),
    Tag.PASSWORD_RESET_DONE: _("You chose a new password with a link from a mail."),
    Tag.PASSWORD_RESET_REQUESTED: _("A link for a new password was requested."),
    Tag.PASSWORD_SET: _("An administrator set your password."),
    Tag.PROFILE_CHANGED: _("You changed your details."),
    Tag.QR_CONFIRMED: _("You confirmed a sign-in by QR code."),
    Tag.QR_DENIED: _("You denied a sign-in by QR code."),
    Tag.RECOVERY_CODES_MADE: _("You created new recovery codes."),
    Tag.RECOVERY_CODE_USED: _("You used a recovery code."),
    Tag.SESSION_ENDED: _("You ended a session."),
    Tag.SIGN_IN: _("You signed in."),
    Tag.SIGN_IN_REFUSED: _("A sign-in to your account was refused."),
    Tag.SIGN_OUT: _("You signed out."),
    Tag.STOLEN_PASSWORD_USED: _("You signed in with a common or stolen password."),
    Tag.USER_CHANGED: _("An administrator changed your account."),
    Tag.USER_CREATED: _("Your account was created."),
    Tag.USER_DISABLED: _("An administrator disabled your account."),
    Tag.USER_ENABLED: _("An administrator enabled your account."),
    Tag.USER_REGISTERED: _("You registered."),
    Tag.USER_SIGNED_OUT: _("An administrator signed you out everywhere."),
    Tag.USER_UNLOCKED: _("An administrator unlocked your account."),
}

blueprint = Blueprint("activity", __name__)


@blueprint.get(HOME)
@for_visitor
def show(visitor: Visitor) -> Response:
    """Show what happened at the account within the last 90 days."""
    found = activity.read(database(), visitor.user, _read_position(request.args.get(BEFORE)))
    following = None if found.following is None else _write_position(found.following)
    events = [(_in_words(event), event) for event in found.events]
    return page("activity", visitor, events=events, following=following)


def _in_words(event: Happened) -> str:
    if event.tag is Tag.SIGN_IN and event.client_name is not None:
        return str(gettext("You signed in to %(name)s.", name=event.client_name))
    return str(SENTENCES[event.tag])


def _write_position(position: Position) -> str:
    return f"{(position.at - _EPOCH) // timedelta(microseconds=1)}-{position.id}"


def _read_position(text: str | None) -> Position | None:
    """Read where a page begins; raise BadRequest for what no page links to."""
    if text is None:
        return None
    found = _POSITION.fullmatch(text)
    if found is not None:
        return Position(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2]))
    raise BadRequest.at(BEFORE, gettext("This link is not complete. Start at the first page."))
