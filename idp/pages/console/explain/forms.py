"""What is to be explained."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import IntegerField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from idp.oauth.refused_requests import LONGEST_ID
from idp.oauth.signed_tokens import MAX_TOKEN_LENGTH
from idp.pages.console.fields import TOO_LONG
from idp.pages.form import Form
from idp.platform.integers import INT64_MAX

LONGEST_NAME = 256
LONGEST_LIST = 8000


def _suggesting(what: str) -> dict[str, str]:
    """Return attributes with which a browser offers the suggestions of a list on the page."""
    return {"list": f"suggested-{what}", "autocomplete": "off"}


class QuestionForm(Form):
    """Which token is to be explained; it stands in the address, so that it can be shared."""

    user = StringField(
        _("Person"),
        [Length(max=LONGEST_NAME, message=TOO_LONG)],
        render_kw=_suggesting("people"),
    )
    client = StringField(
        _("Client id"),
        [InputRequired(_("Enter a client id.")), Length(max=LONGEST_NAME, message=TOO_LONG)],
        render_kw=_suggesting("clients"),
    )
    tenant = IntegerField(
        _("Organisation, by its id"),
        [Optional(), NumberRange(1, INT64_MAX)],
        render_kw=_suggesting("tenants"),
    )
    scope = StringField(_("Scopes"), [Length(max=LONGEST_LIST, message=TOO_LONG)])
    permission = StringField(_("Permissions"), [Length(max=LONGEST_LIST, message=TOO_LONG)])


class RequestForm(Form):
    """Which refused request is to be explained."""

    request = StringField(
        _("Request id"),
        [InputRequired(_("Enter a request id.")), Length(max=LONGEST_ID, message=TOO_LONG)],
    )


class TokenForm(Form):
    """A token to be taken apart; it is posted, so that no address holds it."""

    token = TextAreaField(
        _("Token"),
        [InputRequired(_("Enter a token.")), Length(max=MAX_TOKEN_LENGTH, message=TOO_LONG)],
    )
