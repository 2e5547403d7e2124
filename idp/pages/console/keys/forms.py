"""Forms about signing keys."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import IntegerField, StringField
from wtforms.validators import InputRequired, NumberRange
from wtforms.widgets import HiddenInput

from idp.pages.form import Form
from idp.platform.integers import INT64_MAX


class RevokeForm(Form):
    """The id of a key, typed by somebody who means this one."""

    typed = StringField(_("Type the id of the key, or its first eight characters"))


class RotateForm(Form):
    """Which keys the person saw: keys that somebody else rotated meanwhile are left alone."""

    newest = IntegerField(
        validators=[InputRequired(), NumberRange(0, INT64_MAX)], widget=HiddenInput()
    )
