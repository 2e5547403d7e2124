"""The base of all forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_wtf import FlaskForm
from wtforms import Form as PlainForm

# flask-wtf has no types; what it inherits has, and the forms use nothing beyond that.
if TYPE_CHECKING:
    _Base = PlainForm
else:
    _Base = FlaskForm


class Form(_Base):
    """A form that a page shows and takes back; flask-wtf adds and checks the CSRF token."""

    def refuse(self, message: str, field: str | None = None) -> None:
        """Show a message of a service next to its field, or above the form."""
        if field is None:
            self.form_errors = [*self.form_errors, message]
        else:
            entry: Any = self[field]
            entry.errors = [*entry.errors, message]

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
