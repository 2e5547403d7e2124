"""The rules of a person's own account: only what is his own, and nothing without a trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from idp.directory.resources import view as resources
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.oauth import service as oauth
from idp.oauth.visitor import Visitor
from idp.pages.account import agents
from idp.pages.consent import describe
from idp.pages.forgot.service import tell_of_change
from idp.pages.signin.service import ACR_PASSWORD, AMR_PASSWORD
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import Busy, NotFound
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from idp.platform.throttle import Address

THROTTLE = "change-password"


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A live session as its person sees it."""

    id: int
    browser: str | None
    system: str | None
    remote_addr: str | None
    issuer_name: str | None
    """Where it was started, when that was not here."""
    started_at: datetime
    last_seen_at: datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """An application that was allowed something for good, as its person sees it."""

    id: int
    client_name: str
    tenant_name: str
    allowed_at: datetime
    scopes: list[str]


def change_password(
    session: Session, issuer: Issuer, visitor: Visitor, current: str, new: str, locale: str
) -> str | None:
    """Change the password and give the new cookie of this session; None when the old one is wrong.

    Every other session, grant and token of the person ends. BadRequest for a weak password,
    TooManyRequests after too many wrong ones, Busy in a crowd. The caller commits in all other
    cases.
    """
    user, browser = visitor.user, visitor.browser
    throttle = runtime.of(session).throttle
    keys = (str(user.id), Address.of(runtime.context_of(session).remote_addr))
    throttle.check_delay(THROTTLE, *keys)
    session.commit()
    try:
        matches = users.verify_password(session, user, current)
    except Busy:
        throttle.withdraw(THROTTLE, *keys)
        raise
    session.commit()
    if not matches:
        throttle.failed(THROTTLE, *keys)
        audit.record(
            session,
            Tag.PASSWORD_CHANGE_REFUSED,
            user_id=user.id,
            tenant_id=issuer.tenant_id,
            target=f"user:{user.id}",
        )
        return None
    throttle.succeeded(THROTTLE, *keys)
    users.set_password(session, user, new)
    sessions.end_all(session, user.id, but=browser.id)
    sessions.restamp(session, browser, user.security_stamp)
    value = sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        acr=ACR_PASSWORD,
        amr=AMR_PASSWORD,
        remember=browser.remember,
        replaces=browser,
    )
    audit.record(
        session,
        Tag.PASSWORD_CHANGED,
        user_id=user.id,
        tenant_id=issuer.tenant_id,
        target=f"user:{user.id}",
    )
    tell_of_change(session, issuer, user, locale)
    return value


def list_sessions(session: Session, issuer: Issuer, visitor: Visitor) -> list[SessionLine]:
    """List where the person is signed in, this browser first."""
    lines = [_line(session, issuer, visitor, row) for row in _own_sessions(session, visitor)]
    return sorted(lines, key=lambda line: not line.is_current)


def end_session(session: Session, issuer: Issuer, visitor: Visitor, session_id: int) -> bool:
    """End one of the person's sessions and what hangs on it; tell whether it is this one."""
    rows = {row.id: row for row in _own_sessions(session, visitor)}
    if session_id not in rows:
        raise NotFound
    _end(session, issuer, visitor, rows[session_id])
    return session_id == visitor.browser.id


def end_other_sessions(session: Session, issuer: Issuer, visitor: Visitor) -> None:
    """End every session of the person but this one."""
    for row in _own_sessions(session, visitor):
        if row.id != visitor.browser.id:
            _end(session, issuer, visitor, row)


def list_applications(session: Session, visitor: Visitor) -> list[ApplicationLine]:
    """List what the person allows which applications, in words."""
    return [
        ApplicationLine(
            id=consent.id,
            client_name=consent.client_name,
            tenant_name=consent.tenant_name,
            allowed_at=consent.created_at,
            scopes=_in_words(session, consent.scopes),
        )
        for consent in oauth.list_consents(session, visitor.user.id)
    ]


def _in_words(session: Session, names: Sequence[str]) -> list[str]:
    rights, identity = resources.load_scopes(session, names, None)
    lines = {line.name: line.title for line in describe(names, identity, rights)}
    return [lines.get(name, name) for name in names]


def _end(session: Session, issuer: Issuer, visitor: Visitor, row: BrowserSession) -> None:
    if sessions.end(session, row):
        oauth.revoke_session_grants(session, row.id)
        audit.record(
            session,
            Tag.SESSION_ENDED,
            user_id=visitor.user.id,
            tenant_id=issuer.tenant_id,
            target=f"session:{row.id}",
        )


def _own_sessions(session: Session, visitor: Visitor) -> list[BrowserSession]:
    # One with an earlier stamp is signed out already.
    rows = sessions.list_for(session, visitor.user.id)
    return [row for row in rows if row.security_stamp == visitor.user.security_stamp]


def _line(session: Session, issuer: Issuer, visitor: Visitor, row: BrowserSession) -> SessionLine:
    browser, system = agents.describe(row.user_agent)
    name = None
    if row.issuer_tenant_id != issuer.tenant_id:
        name = tenants.get(session, row.issuer_tenant_id).name
    return SessionLine(
        id=row.id,
        browser=browser,
        system=system,
        remote_addr=row.remote_addr,
        issuer_name=name,
        started_at=row.auth_time,
        last_seen_at=row.last_seen_at,
        is_current=row.id == visitor.browser.id,
    )
