"""The forms of policies: of an organisation or the platform, and of a role."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, IntegerField, SelectField, SelectMultipleField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import Optional

from idp.directory.levels import MFA, PHR
from idp.directory.policies.models import Policy
from idp.directory.policies.rules import (
    CHOICES,
    COLUMNS,
    EMAIL,
    EXEMPT,
    FLAGS,
    LISTS,
    MAIL,
    MOBILE,
    PASSKEY,
    RANGES,
    SMS,
    TOTP,
    Breached,
    PolicySpec,
    RolePolicySpec,
    SecondFactor,
)
from idp.pages.form import Form
from idp.platform.integers import INT32_MAX

NUMBERS = tuple(RANGES)
WORDS: Mapping[str, Mapping[str, Any]] = {
    "breached_at_sign_in": {
        Breached.OFF: _("Nothing"),
        Breached.WARN: _("A mail"),
        Breached.FORCE: _("A new password"),
    },
    "verify": {EMAIL: _("E-mail address"), MOBILE: _("Mobile number")},
    "second_factor": {
        SecondFactor.OFF: _("Not offered"),
        SecondFactor.OPTIONAL: _("Optional"),
        SecondFactor.REQUIRED: _("Required"),
    },
    "level": {MFA: _("A second step"), PHR: _("A passkey")},
    "factors": {
        PASSKEY: _("Passkeys"),
        TOTP: _("Authenticator apps"),
        SMS: _("Codes by text message"),
        MAIL: _("Codes by mail"),
    },
}
"""What values are called."""


def _number(label: Any) -> IntegerField:
    return IntegerField(label, [Optional()], render_kw={"inputmode": "numeric"})


def _choices(words: Mapping[str, Any]) -> list[SelectChoice]:
    return [SelectChoice(str(value), word) for value, word in words.items()]


def _choice(label: Any, name: str) -> SelectField:
    return SelectField(label, choices=_choices({"": _("Not set"), **WORDS[name]}))


class RolePolicyForm(Form):
    """What is required of those who have a role; the service checks it."""

    second_factor = _choice(_("Second factor"), "second_factor")
    level = _choice(_("Sign-in with"), "level")
    policy_stamp = HiddenField()

    def to_spec(self) -> RolePolicySpec:
        """Return the policy as the service takes it."""
        return RolePolicySpec(self.second_factor.data or None, self.level.data or None)


class PolicyForm(Form):
    """All values; the service checks them."""

    password_length = _number(_("Minimum length"))
    password_classes = _number(_("Kinds of characters"))
    password_history = _number(_("Earlier passwords that cannot be used again"))
    password_expiry_days = _number(_("Days until a password expires"))
    password_must_change = BooleanField(_("Passwords set by somebody else must be changed"))
    breached_at_sign_in = _choice(_("After a sign-in with a stolen one"), "breached_at_sign_in")
    identifier_first = BooleanField(_("Ask for the name first"))
    second_factor = _choice(_("Second factor"), "second_factor")
    level = _choice(_("Sign-in with"), "level")
    factors = SelectMultipleField(_("Kinds"), choices=_choices(WORDS["factors"]))
    grace_days = _number(_("Days until it must be set up"))
    level_minutes = _number(_("Minutes until it is asked for again"))
    device_days = _number(_("Days for which devices are remembered"))
    session_hours = _number(_("Hours that a session lasts"))
    remember_days = _number(_("Days that people stay signed in"))
    idle_minutes = _number(_("Minutes without use until a session ends"))
    max_sessions = _number(_("Sessions at a time"))
    verify = SelectMultipleField(_("Confirmed addresses"), choices=_choices(WORDS["verify"]))
    exempt_user_ids = SelectMultipleField(_("Exempt administrators"), coerce=int)
    stamp = HiddenField()

    def __init__(self, administrators: Iterable[tuple[int, str]], **options: Any) -> None:
        """Fill the form; `administrators` are those who can be exempt."""
        super().__init__(**options)
        self.names = dict(administrators)
        self.exempt_user_ids.choices = [
            SelectChoice(user_id, name) for user_id, name in self.names.items()
        ]

    def to_spec(self, row: Policy) -> PolicySpec:
        """Return the policy as the service takes it; what is off stays unset or off."""
        numbers = {name: self[name].data for name in NUMBERS}
        bounded = {
            name: value if value is None else max(-1, min(value, INT32_MAX))
            for name, value in numbers.items()
        }
        return PolicySpec(
            **bounded,
            **{name: self._flag(name, row) for name in FLAGS},
            **{name: self[name].data or None for name in LISTS},
            exempt_user_ids=self.exempt_user_ids.data or None,
            **{name: self[name].data or None for name in CHOICES},
        )

    def _flag(self, name: str, row: Policy) -> Any:
        off = False if getattr(row, name) is False else None
        return True if self[name].data else off

    def rows(self, row: Policy) -> Iterator[tuple[Any, str, str]]:
        """Yield the title, the stored value and the value of the form of each field."""
        stored = data_of(row)
        for name in COLUMNS:
            pair = (self._shown(name, stored[name]), self._shown(name, self[name].data))
            yield self[name].label.text, *pair

    def _shown(self, name: str, value: Any) -> str:
        if name == EXEMPT:
            return ", ".join(self.names.get(user_id, str(user_id)) for user_id in value)
        return in_words(name, value)


def data_of(row: Policy) -> dict[str, Any]:
    """Return what the form shows of a policy."""
    values = {name: getattr(row, name) for name in COLUMNS}
    lists = {name: values[name] or [] for name in (*LISTS, EXEMPT)}
    texts = {name: values[name] or "" for name in CHOICES}
    flags = {name: bool(values[name]) for name in FLAGS}
    return {**values, **lists, **texts, **flags, "stamp": row.concurrency_stamp}


def in_words(name: str, value: Any) -> str:
    """Return a value in the visitor's language; empty where there is none."""
    if isinstance(value, bool):
        return str(_("Yes") if value else _("No"))
    if name in CHOICES:
        return str(WORDS[name].get(value, ""))
    if name in LISTS:
        return ", ".join(str(WORDS[name].get(kind, kind)) for kind in value)
    return "" if value is None else str(value)
