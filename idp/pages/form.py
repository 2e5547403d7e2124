"""The base of all forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_babel import gettext
from flask_wtf import FlaskForm
from wtforms import FileField, PasswordField
from wtforms import Form as PlainForm

from idp.platform.translation import N_
from idp.platform.web import csrf

# flask-wtf has no types; what it inherits has, and the forms use nothing beyond that.
if TYPE_CHECKING:
    _Base = PlainForm
else:
    _Base = FlaskForm


BUILT_IN = (
    N_("Not a valid choice."),
    N_("Invalid Choice: could not coerce."),
    N_("Invalid choice(s): one or more data inputs could not be coerced."),
    N_("'%(value)s' is not a valid choice for this field."),
    N_("'%(value)s' are not valid choices for this field."),
    N_("Not a valid integer value."),
    N_("This field is required."),
    N_("Field must be at least %(min)d character long."),
    N_("Field must be at least %(min)d characters long."),
    N_("Field cannot be longer than %(max)d character."),
    N_("Field cannot be longer than %(max)d characters."),
    N_("Field must be exactly %(max)d character long."),
    N_("Field must be exactly %(max)d characters long."),
    N_("Field must be between %(min)d and %(max)d characters long."),
    N_("Number must be at least %(min)s."),
    N_("Number must be at most %(max)s."),
    N_("Number must be between %(min)s and %(max)s."),
)
"""What fields and validators of WTForms say by themselves, in the forms that we have."""


class _Messages:
    """Translates what WTForms says by our catalogue: its own lacks some of it."""

    def gettext(self, text: str) -> str:
        """Return a text in the visitor's language; WTForms fills values in."""
        return str(gettext(text))

    def ngettext(self, one: str, many: str, n: int) -> str:
        """Return one of two texts in the visitor's language."""
        return self.gettext(one if n == 1 else many)


class Form(_Base):
    """A form that a page shows and takes back.

    Its template adds the form token (`csrf_token()`), which `csrf` checks before any view.
    """

    class Meta(_Base.Meta):  # type: ignore[misc] # has no types
        """How WTForms treats the form."""

        csrf = False

        def get_translations(self, form: Any) -> _Messages:
            """Translate by our catalogue."""
            del form
            return _Messages()

    def __init__(self, **options: Any) -> None:
        """Fill the form with what was sent, or with what was typed before the page expired."""
        typed = csrf.typed()
        if typed is not None:
            options.setdefault("formdata", typed)
        super().__init__(**options)
        secret = (PasswordField, FileField)
        csrf.keep_typed(entry.name for entry in self if not isinstance(entry, secret))

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
        return of_form + [(entry.id, str(text)) for entry in self for text in entry.errors]
