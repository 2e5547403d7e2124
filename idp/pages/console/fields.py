"""What forms of the console declare alike."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import StringField
from wtforms.validators import Length

from idp.pages.form import Form

TOO_LONG = _("This is too long.")
PLAIN = {"autocomplete": "off"}
"""Attributes of a field whose values browsers need not remember."""


class DescribedForm(Form):
    """What people are told of a resource besides its name."""

    display_name = StringField(
        _("Name for people"), [Length(max=200, message=TOO_LONG)], render_kw=PLAIN
    )
    description = StringField(
        _("Description"), [Length(max=1000, message=TOO_LONG)], render_kw=PLAIN
    )
