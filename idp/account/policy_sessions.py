"""Live sessions that a policy does not admit any more: counted, and ended on demand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, and_, exists, not_, or_
from sqlalchemy.orm import Session

from idp.account import live_access
from idp.directory import levels
from idp.directory.actor import Actor
from idp.directory.factors import service as factors
from idp.directory.factors.models import Passkey
from idp.directory.policies import snapshot
from idp.directory.policies.rules import Required
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users.models import User
from idp.platform import clock
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.sessions.models import BrowserSession

REASON = "policy"
"""Why a session ended, in the audit log."""


def unmet(session: Session, actor: Actor, tenant_id: int) -> Select[BrowserSession] | None:
    """Return the query of the sessions below the level that a tenant requires, or the platform.

    Those of people whom the actor may sign out, but their own. None: no level is required. What
    `authorize` spares is spared here too: exempt people, remembered devices, and those who may put
    off setting up what they lack.
    """
    required = snapshot.own(session, tenant_id) or snapshot.floor(session)
    if required.wanted == levels.PWD:
        return None
    found = live_access.sessions_query(session, actor).where(
        not_(_is_met(required)),
        not_(_is_remembered(required)),
        not_(_is_put_off(required)),
        *_at(session, tenant_id),
    )
    exempt = snapshot.exempt_in(session, tenant_id)
    if exempt:
        found = found.where(BrowserSession.user_id.not_in(exempt))
    own = actor.user_id
    return found if own is None else found.where(BrowserSession.user_id != own)


def count(session: Session, actor: Actor, tenant_id: int) -> int:
    """Return how many sessions `end` would end, if it were called often enough."""
    found = unmet(session, actor, tenant_id)
    return 0 if found is None else live_access.count(session, found)


def end(session: Session, actor: Actor, tenant_id: int, most: int = live_access.MOST_ENDED) -> int:
    """End sessions with their grants, so many at most; return their number."""
    found = unmet(session, actor, tenant_id)
    if found is None:
        return 0
    return live_access.end_sessions(session, actor, found, most, reason=REASON)


def _at(session: Session, tenant_id: int) -> Iterator[ColumnElement[bool]]:
    """Yield in SQL which sessions are used for a tenant; the floor concerns all."""
    if tenant_id == PLATFORM_TENANT_ID:
        return
    issuer = tenants.issuer_of(session, tenant_id)
    yield BrowserSession.issuer_tenant_id == issuer.tenant_id
    yield or_(BrowserSession.tenant_id.is_(None), BrowserSession.tenant_id == tenant_id)
    yield exists().where(
        Membership.user_id == BrowserSession.user_id, Membership.tenant_id == tenant_id
    )


def _is_met(required: Required) -> ColumnElement[bool]:
    """Return in SQL what `levels.held` says of a session."""
    times = [BrowserSession.phr_at]
    if required.wanted != levels.PHR:
        times.append(BrowserSession.mfa_at)
    if not required.level_minutes:
        return or_(*(time.is_not(None) for time in times))
    since = levels.holding_since(required.level_minutes)
    return or_(*(and_(time.is_not(None), time >= since) for time in times))


def _is_remembered(required: Required) -> ColumnElement[bool]:
    """Return in SQL whether a remembered device spares what the person has."""
    now = clock.now()
    return and_(
        BrowserSession.trusted_until.is_not(None),
        BrowserSession.trusted_until > now,
        BrowserSession.auth_time > now - timedelta(days=required.device_days),
        _has_enough(required),
    )


def _is_put_off(required: Required) -> ColumnElement[bool]:
    """Return in SQL whether the person may set up later what they lack."""
    asked_after = clock.now() - timedelta(days=required.grace_days)
    return and_(
        User.second_factor_asked_at.is_not(None),
        User.second_factor_asked_at > asked_after,
        not_(_has_enough(required)),
    )


def _has_enough(required: Required) -> ColumnElement[bool]:
    if required.wanted == levels.PHR:
        return exists().where(Passkey.user_id == User.id, Passkey.suspended_at.is_(None))
    return factors.condition_columns(User.id)[0]
