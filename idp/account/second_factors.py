"""Second factors of a person's own account: proving, adding and removing them.

Whoever changes them must have signed in with the highest level that they can reach a short while
ago, and is notified by mail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.orm import Session

from idp.account import devices, events, notices
from idp.directory import levels
from idp.directory.authentication.steps import Proof, amr_of, level_of
from idp.directory.factors import recovery
from idp.directory.factors import service as factors
from idp.directory.factors.service import Factor
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.oauth.visitor import Visitor
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Unprocessable
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from idp.platform.translation import N_

HIGHEST = timedelta(minutes=10)
"""How long after the second factor was proven the factors may be changed."""
FIRST = timedelta(minutes=5)
"""How long after the sign-in a person without a second factor may add one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a live session allows with respect to second factors."""

    has_factor: bool
    """Whether the person has one."""
    may_change: bool
    """Whether the highest level that they can reach was proven a short while ago."""


@dataclass(frozen=True, slots=True)
class ConfirmedApp:
    """An app that a person has set up, and a code of it."""

    key: str
    """The secret, as the form carries it."""
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Added:
    """What follows from a new app."""

    recovery_codes: list[str]
    """To be shown once; empty: the person has some already."""
    cookie: str | None = None
    """New value of the session, if the app was added in one."""


def prove(session: Session, issuer: Issuer, user: User, code: str, locale: str) -> Factor | None:
    """Check a code of a person's second factors; return None when it is refused.

    The caller commits in both cases. Raise TooManyRequests after too many wrong ones.
    """
    factor = factors.prove(session, user, code)
    if factor is None:
        events.record(session, Tag.FACTOR_REFUSED, issuer, user)
    elif factor is Factor.RECOVERY_CODE:
        left = recovery.count_left(session, user.id)
        events.record(session, Tag.RECOVERY_CODE_USED, issuer, user, {"left": left})
        notices.recovery_code_used(session, issuer, user, left, locale)
    return factor


def step_up(
    session: Session, issuer: Issuer, visitor: Visitor, code: str, locale: str
) -> str | None:
    """Check a code of a second factor and raise the level of a live session by it.

    Return the new cookie of the session; None when the code is refused. The caller commits in both
    cases. Raise TooManyRequests after too many wrong codes.
    """
    if prove(session, issuer, visitor.user, code, locale) is None:
        return None
    return _raise_level(session, issuer, visitor)


def _raise_level(session: Session, issuer: Issuer, visitor: Visitor) -> str | None:
    """Raise the level of a session and return its new cookie; None when it ended meanwhile."""
    proofs = (Proof.PASSWORD, Proof.TOTP)
    amr = list(dict.fromkeys([*visitor.browser.amr, *amr_of(proofs)]))
    level = level_of(proofs)
    value = sessions.raise_level(session, visitor.browser, acr=level, amr=amr)
    if value is not None:
        events.record(session, Tag.LEVEL_RAISED, issuer, visitor.user, {"acr": level})
    return value


def standing_of(session: Session, visitor: Visitor) -> Standing:
    """Return whether a person has a second factor, and whether their session may change it."""
    if factors.has_any(session, visitor.user.id):
        return Standing(has_factor=True, may_change=_is_high(visitor.browser))
    is_fresh = visitor.browser.auth_time > clock.now() - FIRST
    return Standing(has_factor=False, may_change=is_fresh)


def must_step_up(session: Session, visitor: Visitor) -> bool:
    """Return whether a person has a second factor and did not prove it a short while ago."""
    return not _is_high(visitor.browser) and factors.has_any(session, visitor.user.id)


def add_app(
    session: Session, issuer: Issuer, user: User, new: ConfirmedApp, locale: str
) -> Added | None:
    """Add an authenticator app; the first one comes with recovery codes.

    Return None for a wrong code. The caller commits in both cases. Raise what `factors.add_app`
    raises.
    """
    is_first = not factors.has_any(session, user.id)
    if not factors.add_app(session, user, new.key, new.code, new.name):
        events.record(session, Tag.FACTOR_REFUSED, issuer, user)
        return None
    events.record(session, Tag.FACTOR_ADDED, issuer, user, {"factor": Factor.TOTP})
    devices.stop_remembering(session, issuer, user)
    notices.authenticator_added(session, issuer, user, locale)
    return Added(recovery.replace_all(session, user.id) if is_first else [])


def add_app_in(
    session: Session, issuer: Issuer, visitor: Visitor, new: ConfirmedApp, locale: str
) -> Added | None:
    """Add an authenticator app, as `add_app` does, and raise the level of a live session."""
    added = add_app(session, issuer, visitor.user, new, locale)
    if added is None:
        return None
    return replace(added, cookie=_raise_level(session, issuer, visitor))


def remove_app(session: Session, issuer: Issuer, user: User, app_id: int, locale: str) -> None:
    """Remove an authenticator app; raise NotFound where the person has no such app.

    Raise Unprocessable for the last one where a second factor is required.
    """
    apps = factors.list_apps(session, user.id)
    if app_id not in {app.id for app in apps}:
        raise NotFound
    is_required = runtime.of(session).settings.second_factor == "required"
    if is_required and len(apps) == 1:
        raise Unprocessable(N_("A second factor is required here. Add another app first."))
    if not factors.remove_app(session, user.id, app_id):
        raise NotFound
    events.record(session, Tag.FACTOR_REMOVED, issuer, user, {"factor": Factor.TOTP})
    devices.stop_remembering(session, issuer, user)
    notices.authenticator_removed(session, issuer, user, locale)


def make_recovery_codes(session: Session, issuer: Issuer, user: User, locale: str) -> list[str]:
    """Make new recovery codes in place of the old ones and return them.

    Raise Unprocessable for a person without a second factor, whom the codes would be of no use.
    """
    if not factors.has_any(session, user.id):
        raise Unprocessable(N_("Add an authenticator app first."))
    codes = recovery.replace_all(session, user.id)
    events.record(session, Tag.RECOVERY_CODES_MADE, issuer, user)
    notices.recovery_codes_made(session, issuer, user, locale)
    return codes


def reset(session: Session, issuer: Issuer, user: User, locale: str) -> int:
    """Remove all factors of a person who lost them, and end their access; return the number.

    For operators: it is recorded as an act of the system.
    """
    count = factors.reset(session, user.id)
    if count:
        users.end_access(session, user)
        sessions.end_all(session, user.id)
        audit.record(session, Tag.FACTORS_RESET, target=f"user:{user.id}", details={"count": count})
        notices.authenticator_removed(session, issuer, user, locale)
    return count


def _is_high(row: BrowserSession) -> bool:
    is_high = levels.satisfies(row.acr, levels.MFA)
    return is_high and row.mfa_at is not None and row.mfa_at > clock.now() - HIGHEST
