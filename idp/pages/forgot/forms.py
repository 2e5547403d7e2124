"""The forms for a forgotten password."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from idp.pages.form import Form
from idp.pages.signin.forms import LONGEST_LOGIN


class AskForm(Form):
    """The account whose password was forgotten."""

    login = StringField(
        _("User name, e-mail or mobile number"),
        [
            InputRequired(_("Enter your user name, e-mail or mobile number.")),
            Length(max=LONGEST_LOGIN, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
