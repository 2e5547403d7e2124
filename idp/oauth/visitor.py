"""The person in front of the browser, for pages and for the authorization endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import User
from idp.directory.users.standing import is_active
from idp.platform import clock
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from idp.platform.storage import Storage


@dataclass(frozen=True, slots=True)
class Visitor:
    """A live browser session and the person it belongs to."""

    browser: BrowserSession
    user: User


def find(session: Session, issuer: Issuer, cookie: str | None) -> Visitor | None:
    """Return the person who is signed in with this cookie.

    None when the session has ended, belongs to another issuer, or the person was deleted,
    disabled, locked or got a new security stamp since.
    """
    if not cookie:
        return None
    row = session.execute(_VISITOR, live_values(issuer, cookie)).one_or_none()
    if row is None:
        return None
    browser, user = row
    sessions.touch(session, browser.id, browser.last_seen_at)
    return Visitor(browser, user)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Of a live browser session and its person what an authorization request is judged by."""

    user_id: int
    security_stamp: str
    session_id: int
    sid: str
    auth_time: datetime
    acr: str
    amr: list[str]
    mfa_at: datetime | None
    phr_at: datetime | None
    trusted_until: datetime | None
    asked_at: datetime | None
    """When the person was first asked to set up a second factor that they may put off."""
    tenant_id: int | None
    """Membership chosen in this session."""
    tenant_ids: tuple[int, ...]
    """Enabled tenants of this issuer that the person belongs to."""
    is_exempt: bool = False
    """Whether more would be required of them if a policy did not exempt them."""


LIVE = (
    BrowserSession.token_hash == bindparam("token_hash"),
    BrowserSession.issuer_tenant_id == bindparam("issuer_tenant_id"),
    BrowserSession.ended_at.is_(None),
    BrowserSession.expires_at > bindparam("now"),
    BrowserSession.security_stamp == User.security_stamp,
    is_active(bindparam("now")),
)
"""Conditions that a session lives and its person may use it: see `live_values`."""

# Made once: making a statement costs more than asking it.
_VISITOR = select(BrowserSession, User).join(User, User.id == BrowserSession.user_id).where(*LIVE)
_SIGNED_IN = (
    select(
        BrowserSession.last_seen_at,
        User.id,
        User.security_stamp,
        BrowserSession.id,
        BrowserSession.sid,
        BrowserSession.auth_time,
        BrowserSession.acr,
        BrowserSession.amr,
        BrowserSession.mfa_at,
        BrowserSession.phr_at,
        BrowserSession.trusted_until,
        User.second_factor_asked_at,
        BrowserSession.tenant_id,
        Tenant.id,
    )
    .join(User, User.id == BrowserSession.user_id)
    .outerjoin(Membership, Membership.user_id == User.id)
    .outerjoin(
        Tenant,
        and_(
            Tenant.id == Membership.tenant_id,
            Tenant.issuer_tenant_id == BrowserSession.issuer_tenant_id,
            Tenant.status == TenantStatus.ENABLED,
        ),
    )
    .where(*LIVE)
)


def live_values(issuer: Issuer, cookie: str) -> dict[str, Any]:
    """Return the values of the conditions `LIVE`."""
    return {
        "token_hash": sessions.cookie_hash(cookie),
        "issuer_tenant_id": issuer.tenant_id,
        "now": clock.now(),
    }


async def find_signed_in(storage: Storage, issuer: Issuer, cookie: str | None) -> SignedIn | None:
    """Return who is signed in with this cookie, by the rules of `find`, in one query."""
    if not cookie:
        return None
    rows = await storage.rows(_SIGNED_IN, live_values(issuer, cookie))
    if not rows:
        return None
    last_seen_at, *found = rows[0]
    found[-1] = tuple(row[-1] for row in rows if row[-1] is not None)
    signed_in = SignedIn(*found)
    if sessions.is_touch_due(last_seen_at):
        await storage.in_session(sessions.touch, signed_in.session_id, last_seen_at)
    return signed_in
