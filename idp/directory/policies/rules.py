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
LONGEST_HOURS, LONGEST_DAYS = 87_600, 36_500
"""Of a session, as for the settings."""
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


class Breached(StrEnum):
    """What follows a sign-in with a stolen password; the laxest one first."""

    OFF = "off"
    """Nothing."""
    WARN = "warn"
    """A mail, and a line in the person's activity."""
    FORCE = "force"
    """They choose a new password."""


PASSKEY, TOTP, SMS, MAIL = "passkey", "totp", "sms", "mail"
FACTORS = (PASSKEY, TOTP, SMS, MAIL)
"""Kinds of second factors, the strongest one first."""
DEFAULT_FACTORS = (PASSKEY, TOTP)
EMAIL, MOBILE = "email", "mobile"
ADDRESSES = (EMAIL, MOBILE)
"""Addresses that people may have to confirm."""
FLAGS = ("password_must_change", "identifier_first")
"""Columns that say yes or no."""
LISTS: Mapping[str, Sequence[str]] = {"factors": FACTORS, "verify": ADDRESSES}
"""Columns with several values, and which ones there are."""

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
MORE_HOURS = N_(
    "The platform requires %(value)s hours or fewer; an organisation cannot allow more."
)
MORE_SESSIONS = N_("The platform allows %(value)s sessions; an organisation cannot allow more.")
MORE_FACTORS = N_("The platform allows only these: %(value)s.")
MUST_CHANGE = N_("The platform requires this; an organisation cannot switch it off.")
NEEDS_PASSKEYS = N_("Nobody could sign in: only passkeys reach the level phr. Allow them.")
NO_PASSKEYS_HERE = N_(
    "Nobody could sign in: browsers accept passkeys only at a DNS name with https, and people sign"
    " in at %(address)s."
)
NO_WAY_TO_SEND = N_("Nobody could sign in: the service cannot send codes that way.")
TOO_LONG = N_("By the settings of the service, the value can be %(value)s at most.")
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
    breached_at_sign_in: str | None = None
    identifier_first: bool | None = None
    second_factor: str | None = None
    level: str | None = None
    factors: Sequence[str] | None = None
    grace_days: int | None = None
    level_minutes: int | None = None
    device_days: int | None = None
    session_hours: int | None = None
    remember_days: int | None = None
    idle_minutes: int | None = None
    max_sessions: int | None = None
    verify: Sequence[str] | None = None
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
    breached_at_sign_in: str = Breached.OFF
    identifier_first: bool = False
    second_factor: str = SecondFactor.OPTIONAL
    level: str = levels.MFA
    """The level that people must reach where a second factor is required."""
    factors: tuple[str, ...] = DEFAULT_FACTORS
    """Kinds of second factors that people may use."""
    grace_days: int = 0
    level_minutes: int = 0
    device_days: int = 30
    session_hours: int = 10
    remember_days: int = 30
    """0: people cannot stay signed in."""
    idle_minutes: int = 0
    max_sessions: int = 0
    verify: tuple[str, ...] = ()
    """Addresses that people confirm before they go on."""

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
    "breached_at_sign_in": tuple(Breached),
    "second_factor": tuple(SecondFactor),
    "level": (levels.MFA, levels.PHR),
}
OF_ROLES = ("second_factor", "level")
"""Columns that the policy of a role has too."""


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
    "session_hours": Range(1, LONGEST_HOURS, is_optional=False),
    "remember_days": Range(1, LONGEST_DAYS),
    "idle_minutes": Range(5, 43_200),
    "max_sessions": Range(1, 100),
}


def _most(values: Iterable[int]) -> int:
    return max(values, default=0)


def _fewest(values: Iterable[int]) -> int:
    """Return the smallest of several times; 0 is none."""
    return min((value for value in values if value), default=0)


def _least(name: str) -> Callable[[Iterable[int]], int]:
    """Return what picks the smallest of several values, where 0 is one; as a rule the default."""
    return lambda values: min(values, default=getattr(NOTHING, name))


def _all(values: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Return the addresses that any policy names."""
    lists = list(values)
    return tuple(name for name in ADDRESSES if any(name in wanted for wanted in lists))


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
    "breached_at_sign_in": _last(CHOICES["breached_at_sign_in"], Breached.OFF),
    "identifier_first": any,
    "second_factor": _last(CHOICES["second_factor"], SecondFactor.OPTIONAL),
    "level": _last(CHOICES["level"], levels.MFA),
    "factors": _common,
    "grace_days": _least("grace_days"),
    "level_minutes": _fewest,
    "device_days": _least("device_days"),
    "session_hours": _least("session_hours"),
    "remember_days": _least("remember_days"),
    "idle_minutes": _fewest,
    "max_sessions": _fewest,
    "verify": _all,
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
        for name in OF_ROLES
    }
    return replace(required, **changes)


_LOOSER_IN = {
    "days": MORE_DAYS,
    "hours": MORE_HOURS,
    "minutes": MORE_MINUTES,
    "sessions": MORE_SESSIONS,
}
"""Why a value is looser than that of the platform, by the end of its name."""


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
        for name in OF_ROLES
        if getattr(spec, name) is not None and (reason := _impossible(name, getattr(spec, name)))
    }
    _refuse(wrong)


def check_way_in(required: Required, address: str, *, takes_passkeys: bool) -> None:
    """Refuse policies with which people could not sign in any more.

    `address` is where they sign in, and `takes_passkeys` whether browsers accept passkeys there.
    """
    _refuse(_locked_out(required, address, takes_passkeys=takes_passkeys))


def needs_passkeys(required: Required) -> bool:
    """Return whether people sign in with a passkey or not at all."""
    if required.second_factor != SecondFactor.REQUIRED:
        return False
    return required.level == levels.PHR or TOTP not in required.factors


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
    if name not in LISTS:
        return None
    if name == "factors" and not value:
        return NO_FACTORS
    values = LISTS[name]
    is_known = set(value) <= set(values) and len(set(value)) == len(value)
    return None if is_known else filled(UNKNOWN, values=", ".join(values))


def _locked_out(required: Required, address: str, *, takes_passkeys: bool) -> dict[str, list[str]]:
    """Return by field why people could not sign in any more; empty: they can."""
    if required.second_factor != SecondFactor.REQUIRED:
        return {}
    usable = set(required.factors) & {PASSKEY, TOTP}
    if required.level == levels.PHR and PASSKEY not in usable:
        return {"level": [NEEDS_PASSKEYS]}
    if not usable:
        return {"factors": [NO_OWN_FACTOR]}
    if needs_passkeys(required) and not takes_passkeys:
        field = "level" if required.level == levels.PHR else "factors"
        return {field: [filled(NO_PASSKEYS_HERE, address=address)]}
    return {}


def _looser(name: str, value: Any, floor: Any) -> str | None:
    if _plain(_STRICTEST[name]([value, floor])) == _plain(value):
        return None
    if name in FLAGS:
        return MUST_CHANGE
    if name == "factors":
        return filled(MORE_FACTORS, value=", ".join(floor))
    text = _LOOSER_IN.get(name.rpartition("_")[2], LOOSER)
    return filled(text, value=", ".join(floor) if name in LISTS else floor)
