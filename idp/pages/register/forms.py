"""The forms of registration."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length, Regexp

from idp.directory.users.names import USERNAME_LENGTH
from idp.pages.form import Form
from idp.pages.signin.forms import LONGEST_PASSWORD


class MobileForm(Form):
    """The number to which a code is sent."""

    address = StringField(
        _("Mobile number"),
        [
            InputRequired(_("Enter your mobile number.")),
            Length(max=40, message=_("This is too long.")),
        ],
        render_kw={"type": "tel", "autocomplete": "tel"},
    )


class EmailForm(Form):
    """The e-mail address to which a code is sent."""

    address = StringField(
        _("E-mail address"),
        [
            InputRequired(_("Enter your e-mail address.")),
            Length(max=USERNAME_LENGTH, message=_("This is too long.")),
        ],
        render_kw={"type": "email", "autocomplete": "email", "spellcheck": "false"},
    )


class CodeForm(Form):
    """The code that was sent."""

    code = StringField(
        _("Code"),
        [
            InputRequired(_("Enter the code.")),
            Regexp(r"\A\s*[0-9]{6}\s*\Z", message=_("Enter the six-digit code.")),
        ],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"},
    )


class AccountForm(Form):
    """The details of the account."""

    nick_name = StringField(
        _("Your name"),
        [
            InputRequired(_("Enter your name.")),
            Length(max=50, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "name"},
    )
    password = PasswordField(
        _("Password"),
        [
            InputRequired(_("Enter a password.")),
            Length(max=LONGEST_PASSWORD, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "new-password"},
    )
    repeated = PasswordField(
        _("Password again"),
        [EqualTo("password", _("The passwords do not match."))],
        render_kw={"autocomplete": "new-password"},
    )
