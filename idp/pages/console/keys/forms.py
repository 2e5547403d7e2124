"""Forms about signing keys."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import FileField, IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import InputRequired, NumberRange
from wtforms.widgets import HiddenInput

from idp.pages.form import Form
from idp.platform.integers import INT64_MAX
from idp.platform.signing.algorithms import ALGORITHMS


class RevokeForm(Form):
    """The id of a key, typed by somebody who means this one."""

    typed = StringField(_("Type the id of the key, or its first eight characters"))


class ImportForm(Form):
    """A private key, only as a file: what is typed could be shown again."""

    pem = FileField(_("Private key"), render_kw={"accept": ".pem,.key,application/x-pem-file"})
    alg = SelectField(
        _("Algorithm"),
        choices=[
            SelectChoice("", _("By the type of the key")),
            *(SelectChoice(name, name) for name in ALGORITHMS),
        ],
        default="",
    )


class RotateForm(Form):
    """Which keys the person saw: keys that somebody else rotated meanwhile are left alone."""

    newest = IntegerField(
        validators=[InputRequired(), NumberRange(0, INT64_MAX)], widget=HiddenInput()
    )
