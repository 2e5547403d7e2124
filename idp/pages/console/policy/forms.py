"""The form of the policy screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, IntegerField
from wtforms.validators import Optional

from idp.directory.policies.models import Policy
from idp.directory.policies.rules import COLUMNS, RANGES, PolicySpec
from idp.pages.form import Form
from idp.platform.integers import INT32_MAX

NUMBERS = tuple(RANGES)
MUST_CHANGE = "password_must_change"


def _number(label: Any) -> IntegerField:
    return IntegerField(label, [Optional()], render_kw={"inputmode": "numeric"})


class PolicyForm(Form):
    """All values; the service checks them."""

    password_length = _number(_("Minimum length"))
    password_classes = _number(_("Kinds of characters"))
    password_history = _number(_("Earlier passwords that cannot be used again"))
    password_expiry_days = _number(_("Days until a password expires"))
    password_must_change = BooleanField(_("Passwords set by somebody else must be changed"))
    stamp = HiddenField()

    def to_spec(self, row: Policy) -> PolicySpec:
        """Return the policy as the service takes it; what is off stays unset or off."""
        numbers = {name: self[name].data for name in NUMBERS}
        bounded = {
            name: value if value is None else max(-1, min(value, INT32_MAX))
            for name, value in numbers.items()
        }
        off = False if row.password_must_change is False else None
        must_change = True if self.password_must_change.data else off
        return PolicySpec(**bounded, password_must_change=must_change)

    def rows(self, row: Policy) -> Iterator[tuple[Any, str, str]]:
        """Yield the title, the stored value and the value of the form of each field."""
        stored = data_of(row)
        for name in COLUMNS:
            yield self[name].label.text, _shown(stored[name]), _shown(self[name].data)


def data_of(row: Policy) -> dict[str, Any]:
    """Return what the form shows of a policy."""
    values = {name: getattr(row, name) for name in NUMBERS}
    return {**values, MUST_CHANGE: bool(row.password_must_change), "stamp": row.concurrency_stamp}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(_("Yes") if value else _("No"))
    return "" if value is None else str(value)
