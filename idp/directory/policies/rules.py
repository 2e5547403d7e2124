"""The rules of policies: which values are possible, and how several policies combine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from idp.directory import levels
from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled

LONGEST_EXPIRY = 3650
MOST_EXEMPT = 2
"""People whom a policy may exempt."""


class SecondFactor(StrEnum):
    """Whether people have a second factor; the laxest one first."""

    OFF = "off"
    """They are not offered any."""
    OPTIONAL = "optional"
    """They may add one."""
    REQUIRED = "required"
    """They must have one, and prove it."""


PASSKEY, TOTP, SMS, MAIL = "passkey", "totp", "sms", "mail"
FACTORS = (PASSKEY, TOTP, SMS, MAIL)
"""Kinds of second factors, the strongest one first."""
DEFAULT_FACTORS = (PASSKEY, TOTP)

NO_HISTORY = N_(
    "Passwords that expire need a history of at least 1. Without it, the expired password could be"
    " set again."
)
OUT_OF_RANGE = N_("The value must be between %(least)s and %(most)s.")
OFF_OR_IN_RANGE = N_("The value must be 0 (off), or between %(least)s and %(most)s.")
UNKNOWN = N_("The value must be one of: %(values)s.")
NO_FACTORS = N_("At least one kind of second factor must be allowed.")
LOOSER = N_("The platform requires %(value)s; an organisation cannot require less.")
MORE_DAYS = N_("The platform requires %(value)s days or fewer; an organisation cannot allow more.")
MORE_MINUTES = N_(
    "The platform requires %(value)s minutes or fewer; an organisation cannot allow more."
)
MORE_FACTORS = N_("The platform allows only these: %(value)s.")
MUST_CHANGE = N_("The platform requires this; an organisation cannot switch it off.")
NEEDS_PASSKEYS = N_("Nobody could sign in: only passkeys reach the level phr. Allow them.")
NO_PASSKEYS_HERE = N_(
    "Nobody could sign in: browsers accept passkeys only at a DNS name with https, and people sign"
    " in at %(address)s."
)
NO_OWN_FACTOR = N_(
    "People without a confirmed address or number could not sign in. Allow passkeys or"
    " authenticator apps as well."
)


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """What a policy sets; None: nothing beyond the policy of the platform."""

    password_length: int | None = None
    password_classes: int | None = None
    password_history: int | None = None
    password_expiry_days: int | None = None
    password_must_change: bool | None = None
    second_factor: str | None = None
    level: str | None = None
    factors: Sequence[str] | None = None
    grace_days: int | None = None
    level_minutes: int | None = None
    device_days: int | None = None
    exempt_user_ids: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class RolePolicySpec:
    """What the policy of a role sets; None: nothing beyond the policy of its tenant."""

    second_factor: str | None = None
    level: str | None = None


@dataclass(frozen=True, slots=True)
class Required:
    """What several policies require together; 0 and False: nothing beyond the fixed rules."""

    password_length: int = 0
    password_classes: int = 0
    password_history: int = 0
    password_expiry_days: int = 0
    password_must_change: bool = False
    second_factor: str = SecondFactor.OPTIONAL
    level: str = levels.MFA
    """The level that people must reach where a second factor is required."""
    factors: tuple[str, ...] = DEFAULT_FACTORS
    """Kinds of second factors that people may use."""
    grace_days: int = 0
    level_minutes: int = 0
    device_days: int = 30

    @property
    def wanted(self) -> str:
        """The level that a sign-in must reach."""
        is_required = self.second_factor == SecondFactor.REQUIRED
        return self.level if is_required else levels.PWD


NOTHING = Required()
COLUMNS = tuple(column.name for column in fields(PolicySpec))
EXEMPT = "exempt_user_ids"
COMBINED = tuple(name for name in COLUMNS if name != EXEMPT)
"""Columns whose values combine; who is exempt concerns one policy."""
CHOICES: Mapping[str, Sequence[str]] = {
    "second_factor": tuple(SecondFactor),
    "level": (levels.MFA, levels.PHR),
}


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
    "grace_days": Range(1, 90),
    "level_minutes": Range(5, 43_200),
    "device_days": Range(1, 365),
}


def _most(values: Iterable[int]) -> int:
    return max(values, default=0)


def _fewest(values: Iterable[int]) -> int:
    """Return the smallest of several times; 0 is none."""
    return min((value for value in values if value), default=0)


def _last(order: Sequence[str], default: str) -> Callable[[Iterable[str]], str]:
    return lambda values: max(values, key=order.index, default=default)


def _common(values: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Return the kinds that all policies allow; the strongest one where there is none."""
    lists = list(values)
    if not lists:
        return DEFAULT_FACTORS
    common = [name for name in FACTORS if all(name in allowed for allowed in lists)]
    return tuple(common) or (PASSKEY,)


_STRICTEST: Mapping[str, Callable[[Any], Any]] = {
    "password_length": _most,
    "password_classes": _most,
    "password_history": _most,
    "password_expiry_days": _fewest,
    "password_must_change": any,
    "second_factor": _last(CHOICES["second_factor"], SecondFactor.OPTIONAL),
    "level": _last(CHOICES["level"], levels.MFA),
    "factors": _common,
    "grace_days": lambda values: min(values, default=0),
    "level_minutes": _fewest,
    "device_days": lambda values: min(values, default=NOTHING.device_days),
}
"""How the values of several policies combine. A new column goes here."""


def combined(policies: Iterable[Any]) -> Required:
    """Return what policies require together: of each column the strictest value."""
    rows = list(policies)
    values = {
        name: strictest([getattr(row, name) for row in rows if getattr(row, name) is not None])
        for name, strictest in _STRICTEST.items()
    }
    # Who requires a second factor says how long it may be put off.
    requiring = [row.grace_days or 0 for row in rows if row.second_factor == SecondFactor.REQUIRED]
    if requiring:
        values["grace_days"] = min(requiring)
    return Required(**values)


def with_roles(required: Required, roles: Iterable[Any]) -> Required:
    """Return what is required of a person with the policies of their roles."""
    rows = list(roles)
    changes = {
        name: _STRICTEST[name](
            [getattr(required, name), *(getattr(row, name) for row in rows if getattr(row, name))]
        )
        for name in CHOICES
    }
    return replace(required, **changes)


def check(spec: PolicySpec, floor: PolicySpec, before: Any) -> None:
    """Refuse a policy that is out of range, contradicts itself, or is looser than the floor.

    A value that stays as it is in `before` is not compared with the floor, which may have risen.
    """
    wrong: dict[str, list[str]] = {}
    required = combined([floor])
    for name in COMBINED:
        value = getattr(spec, name)
        if value is None:
            continue
        reason = _impossible(name, value)
        if reason is None and _plain(value) != _plain(getattr(before, name)):
            is_stated = getattr(floor, name) is not None
            reason = _looser(name, value, getattr(required, name)) if is_stated else None
        if reason is not None:
            wrong[name] = [reason]
    if spec.password_expiry_days and not spec.password_history:
        wrong.setdefault("password_history", []).append(NO_HISTORY)
    _refuse(wrong)


def check_role(spec: RolePolicySpec) -> None:
    """Refuse the policy of a role that has unknown values."""
    wrong = {
        name: [reason]
        for name in CHOICES
        if getattr(spec, name) is not None and (reason := _impossible(name, getattr(spec, name)))
    }
    _refuse(wrong)


def check_way_in(required: Required, address: str, *, takes_passkeys: bool) -> None:
    """Refuse policies with which people could not sign in any more.

    `address` is where they sign in, and `takes_passkeys` whether browsers accept passkeys there.
    """
    _refuse(_locked_out(required, address, takes_passkeys=takes_passkeys))


def _refuse(wrong: Mapping[str, list[str]]) -> None:
    if wrong:
        raise BadRequest(next(iter(wrong.values()))[0], fields=wrong)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, (list, tuple)) else value


def _impossible(name: str, value: Any) -> str | None:
    if name in RANGES:
        return RANGES[name].refusal(value)
    if name in CHOICES:
        values = CHOICES[name]
        return None if value in values else filled(UNKNOWN, values=", ".join(values))
    if name != "factors":
        return None
    if not value:
        return NO_FACTORS
    is_known = set(value) <= set(FACTORS) and len(set(value)) == len(value)
    return None if is_known else filled(UNKNOWN, values=", ".join(FACTORS))


def _locked_out(required: Required, address: str, *, takes_passkeys: bool) -> dict[str, list[str]]:
    """Return by field why people could not sign in any more; empty: they can."""
    if required.second_factor != SecondFactor.REQUIRED:
        return {}
    usable = set(required.factors) & {PASSKEY, TOTP}
    if required.level == levels.PHR and PASSKEY not in usable:
        return {"level": [NEEDS_PASSKEYS]}
    if not usable:
        return {"factors": [NO_OWN_FACTOR]}
    needs_passkey = required.level == levels.PHR or usable == {PASSKEY}
    if needs_passkey and not takes_passkeys:
        field = "level" if required.level == levels.PHR else "factors"
        return {field: [filled(NO_PASSKEYS_HERE, address=address)]}
    return {}


def _looser(name: str, value: Any, floor: Any) -> str | None:
    if _plain(_STRICTEST[name]([value, floor])) == _plain(value):
        return None
    if name == "password_must_change":
        return MUST_CHANGE
    if name == "factors":
        return filled(MORE_FACTORS, value=", ".join(floor))
    if name == "level_minutes":
        return filled(MORE_MINUTES, value=floor)
    text = MORE_DAYS if name.endswith("_days") else LOOSER
    return filled(text, value=floor)
