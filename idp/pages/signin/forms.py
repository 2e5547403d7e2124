"""The sign-in form."""

from __future__ import annotations

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


class EmailForm(Form):
    """An e-mail address to confirm."""

    address = StringField(
        _("E-mail address"),
        [
            InputRequired(_("Enter your e-mail address.")),
            Length(max=min(EMAIL_LENGTH, USERNAME_LENGTH), message=_("This is too long.")),
        ],
        render_kw={"type": "email", "autocomplete": "email", "spellcheck": "false"},
    )


class MobileForm(Form):
    """A mobile number to confirm."""

    address = StringField(
        _("Mobile number"),
        [
            InputRequired(_("Enter your mobile number.")),
            Length(max=40, message=_("This is too long.")),
        ],
        render_kw={"type": "tel", "autocomplete": "tel"},
    )


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
