"""The base of all forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_wtf import FlaskForm
from wtforms import FileField, PasswordField
from wtforms import Form as PlainForm

from idp.platform.web import csrf

# flask-wtf has no types; what it inherits has, and the forms use nothing beyond that.
if TYPE_CHECKING:
    _Base = PlainForm
else:
    _Base = FlaskForm


class Form(_Base):
    """A form that a page shows and takes back; flask-wtf adds and checks the CSRF token."""

    def __init__(self, **options: Any) -> None:
        """Fill the form with what was sent, or with what was typed before the page expired."""
        typed = csrf.typed()
        if typed is not None:
            options.setdefault("formdata", typed)
        super().__init__(**options)
        secret = (PasswordField, FileField)
        csrf.keep_typed(
            entry.name
            for entry in self
            if not isinstance(entry, secret) and entry.name != csrf.FIELD
        )

    def refuse(self, message: str, field: str | None = None) -> None:
        """Show a message of a service next to its field, or above the form."""
        if field is None:
            self.form_errors = [*self.form_errors, message]
        else:
            entry: Any = self[field]
            entry.errors = [*entry.errors, message]

    @property
    def first_mistake(self) -> str | None:
        """Return the name of the first field that is wrong; it takes the focus."""
        return next((entry.name for entry in self if entry.errors), None)

    @property
    def mistakes(self) -> list[tuple[str | None, str]]:
        """List (field id, message) pairs for the summary above the form."""
        of_form: list[tuple[str | None, str]] = [(None, str(text)) for text in self.form_errors]
        return of_form + [
            (entry.id, str(text))
            for entry in self
            if entry.name != "csrf_token"
            for text in entry.errors
        ]
