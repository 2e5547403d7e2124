"""The form of a subscription."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import EmailField
from wtforms.validators import Email, InputRequired, Length

from idp.pages.form import Form

LONGEST_EMAIL = 254


class SubscribeForm(Form):
    """The address of the subscription."""

    email = EmailField(
        _("E-mail"),
        [
            InputRequired(_("Enter your e-mail address.")),
            Length(max=LONGEST_EMAIL, message=_("This is too long.")),
            Email(message=_("This is not an e-mail address.")),
        ],
        render_kw={"autocomplete": "email"},
    )
