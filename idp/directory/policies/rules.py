"""The rules of policies: which values are possible, and how several policies combine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled

LONGEST_EXPIRY = 3650

NO_HISTORY = N_(
    "Passwords that expire need a history of at least 1. Without it, the expired password could be"
    " set again."
)
OUT_OF_RANGE = N_("The value must be between %(least)s and %(most)s.")
OFF_OR_IN_RANGE = N_("The value must be 0 (off), or between %(least)s and %(most)s.")
LOOSER = N_("The platform requires %(value)s; an organisation cannot require less.")
MORE_DAYS = N_("The platform requires %(value)s days or fewer; an organisation cannot allow more.")
MUST_CHANGE = N_("The platform requires this; an organisation cannot switch it off.")


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """What a policy sets; None: nothing beyond the policy of the platform."""

    password_length: int | None = None
    password_classes: int | None = None
    password_history: int | None = None
    password_expiry_days: int | None = None
    password_must_change: bool | None = None


@dataclass(frozen=True, slots=True)
class Required:
    """What several policies require together; 0 and False: nothing beyond the fixed rules."""

    password_length: int = 0
    password_classes: int = 0
    password_history: int = 0
    password_expiry_days: int = 0
    password_must_change: bool = False


NOTHING = Required()
COLUMNS = tuple(column.name for column in fields(PolicySpec))


@dataclass(frozen=True, slots=True)
class Range:
    """The values of a number; with `is_optional` also 0, for off."""

    least: int
    most: int
    is_optional: bool = True

    def refusal(self, value: int) -> str | None:
        """Return why a value is refused; None: it is not."""
        if self.least <= value <= self.most or (self.is_optional and value == 0):
            return None
        text = OFF_OR_IN_RANGE if self.is_optional else OUT_OF_RANGE
        return filled(text, least=self.least, most=self.most)


RANGES = {
    "password_length": Range(8, 64, is_optional=False),
    "password_classes": Range(1, 4),
    "password_history": Range(1, 5),
    "password_expiry_days": Range(30, LONGEST_EXPIRY),
}


def _fewest(values: Iterable[int]) -> int:
    return min((value for value in values if value), default=0)


_STRICTEST: Mapping[str, Callable[[Any], Any]] = {
    "password_length": lambda values: max(values, default=0),
    "password_classes": lambda values: max(values, default=0),
    "password_history": lambda values: max(values, default=0),
    "password_expiry_days": _fewest,
    "password_must_change": any,
}
"""How the values of several policies combine. A new column goes here."""


def combined(policies: Iterable[Any]) -> Required:
    """Return what policies require together: of each column the strictest value."""
    rows = list(policies)
    values = {
        name: strictest([getattr(row, name) for row in rows if getattr(row, name) is not None])
        for name, strictest in _STRICTEST.items()
    }
    return Required(**values)


def check(spec: PolicySpec, floor: Required, before: Any) -> None:
    """Refuse a policy that is out of range, contradicts itself, or is looser than the floor.

    A value that stays as it is in `before` is not compared with the floor, which may have risen.
    """
    wrong: dict[str, list[str]] = {}
    for name in COLUMNS:
        value = getattr(spec, name)
        if value is None:
            continue
        limits = RANGES.get(name)
        reason = limits.refusal(value) if limits is not None else None
        if reason is None and value != getattr(before, name):
            reason = _looser(name, value, getattr(floor, name))
        if reason is not None:
            wrong[name] = [reason]
    if spec.password_expiry_days and not spec.password_history:
        wrong.setdefault("password_history", []).append(NO_HISTORY)
    if wrong:
        raise BadRequest(next(iter(wrong.values()))[0], fields=wrong)


def _looser(name: str, value: Any, floor: Any) -> str | None:
    if not floor or _STRICTEST[name]([value, floor]) == value:
        return None
    if name == "password_must_change":
        return MUST_CHANGE
    text = MORE_DAYS if name == "password_expiry_days" else LOOSER
    return filled(text, value=floor)
