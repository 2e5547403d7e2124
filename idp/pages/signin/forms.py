"""The forms of a sign-in; other pages ask for passwords and addresses by them too."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length, Regexp

from idp.directory.users.names import EMAIL_LENGTH, USERNAME_LENGTH
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

    def without_mistakes(self) -> SignInForm:
        """Return the form as it was typed, for the page that asks for the password."""
        typed = {"login": self.login.data, "remember": self.remember.data}
        return SignInForm(formdata=None, data=typed)


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


def email_field(label: Any) -> StringField:
    """Return a field for an e-mail address of a person."""
    return StringField(
        label,
        [
            InputRequired(_("Enter your e-mail address.")),
            Length(max=min(EMAIL_LENGTH, USERNAME_LENGTH), message=_("This is too long.")),
        ],
        render_kw={"type": "email", "autocomplete": "email", "spellcheck": "false"},
    )


def mobile_field(label: Any) -> StringField:
    """Return a field for a mobile number of a person."""
    return StringField(
        label,
        [
            InputRequired(_("Enter your mobile number.")),
            Length(max=40, message=_("This is too long.")),
        ],
        render_kw={"type": "tel", "autocomplete": "tel"},
    )


class EmailForm(Form):
    """An e-mail address to confirm."""

    address = email_field(_("E-mail address"))


class MobileForm(Form):
    """A mobile number to confirm."""

    address = mobile_field(_("Mobile number"))


class AddressCodeForm(Form):
    """The code sent to an address."""

    code = StringField(
        _("Code"),
        [
            InputRequired(_("Enter the code.")),
            Regexp(r"\A\s*[0-9]{6}\s*\Z", message=_("Enter the six-digit code.")),
        ],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"},
    )
