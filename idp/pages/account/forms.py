"""The forms of the account pages."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import PasswordField
from wtforms.validators import EqualTo, InputRequired, Length

from idp.pages.form import Form
from idp.pages.signin.forms import LONGEST_PASSWORD


class ChangePasswordForm(Form):
    """The old password, and the new one twice."""

    current = PasswordField(
        _("Current password"),
        [
            InputRequired(_("Enter your current password.")),
            Length(max=LONGEST_PASSWORD, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "current-password"},
    )
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
        [EqualTo("password", _("The two new passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )
