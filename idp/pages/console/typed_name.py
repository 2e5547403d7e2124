"""Deleting: the name of what is deleted is typed, and the form says so where it differs."""

from __future__ import annotations

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import StringField

from idp.pages.form import Form


class TypedNameForm(Form):
    """The name of what is to be deleted."""

    typed = StringField(
        _("Type the name to confirm"),
        render_kw={"autocomplete": "off", "maxlength": "256"},
    )

    def names(self, name: str) -> bool:
        """Return whether the name was typed; otherwise the form says what is missing."""
        if not self.validate():
            return False
        if (self.typed.data or "").strip() != name.strip():
            self.refuse(gettext("Type exactly: %(name)s", name=name), "typed")
            return False
        return True
