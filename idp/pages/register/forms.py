"""The form that ends a registration."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from idp.pages.form import Form
from idp.pages.signin.forms import LONGEST_PASSWORD


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
