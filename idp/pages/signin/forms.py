"""The sign-in form."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from idp.pages.form import Form

LONGEST_LOGIN = 256
LONGEST_PASSWORD = 1024


class SignInForm(Form):
    """Name and password."""

    login = StringField(
        _("User name, e-mail or mobile number"),
        [
            InputRequired(_("Enter your user name, e-mail or mobile number.")),
            Length(max=LONGEST_LOGIN, message=_("This is too long.")),
        ],
        render_kw={
            "autocomplete": "username webauthn",
            "autocapitalize": "none",
            "spellcheck": "false",
        },
    )
    password = PasswordField(
        _("Password"),
        [
            InputRequired(_("Enter your password.")),
            Length(max=LONGEST_PASSWORD, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "current-password"},
    )
    remember = BooleanField(_("Keep me signed in on this device"))


class NewPasswordForm(Form):
    """A new password, twice, because it is not shown."""

    password = PasswordField(
        _("New password"),
        [
            InputRequired(_("Enter a new password.")),
            Length(max=LONGEST_PASSWORD, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "new-password"},
    )
    repeated = PasswordField(
        _("New password again"),
        [EqualTo("password", _("The passwords do not match."))],
        render_kw={"autocomplete": "new-password"},
    )
