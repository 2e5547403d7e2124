"""Sessions and applications as the account pages list them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from idp.account import sessions
from idp.directory.devices import service as devices
from idp.directory.devices.service import KnownDevice
from idp.directory.resources import snapshot as resources
from idp.directory.tenants import service as tenants
from idp.oauth import callers
from idp.oauth.consents import GivenConsent
from idp.oauth.response import with_query
from idp.oauth.visitor import Visitor
from idp.pages import agents
from idp.pages.consent import describe
from idp.platform.issuer import Issuer
from idp.platform.sessions.models import BrowserSession

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A live session in the list."""

    id: int
    browser: str | None
    system: str | None
    remote_addr: str | None
    issuer_name: str | None
    """The issuer where it was started, when it is another one."""
    applications: list[str]
    """Names of the applications that were signed in from there."""
    first_seen_at: datetime
    signed_in_at: datetime | None
    """The last time that the password was entered; None: only at first."""
    last_seen_at: datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device in the list."""

    browser: str | None
    system: str | None
    issuer_name: str | None
    """The issuer where it is known, when it is another one."""
    known: KnownDevice
    is_current: bool


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """An application with a remembered consent in the list."""

    id: int
    client_name: str
    host: str
    """The host that the application is known by; empty: it is known by its name."""
    is_verified: bool
    tenant_name: str
    allowed_at: datetime
    scopes: list[str]
    start: str | None
    """Address that opens the application, where it signs the person in; None: it did not say."""
    start_host: str


def of_sessions(
    session: Session, issuer: Issuer, visitor: Visitor, rows: Sequence[BrowserSession]
) -> list[SessionLine]:
    """List sessions: this browser first, then by last use."""
    elsewhere = {row.issuer_tenant_id for row in rows} - {issuer.tenant_id}
    names = tenants.names(session, elsewhere) if elsewhere else {}
    applications = sessions.applications(session, rows)
    lines = [_of_session(row, visitor, names, applications[row.id]) for row in rows]
    return sorted(
        lines, key=lambda line: (line.is_current, line.last_seen_at, line.id), reverse=True
    )


def of_devices(
    session: Session, issuer: Issuer, visitor: Visitor, cookie: str | None
) -> list[DeviceLine]:
    """List devices: the one of a cookie first, then by last use."""
    current = devices.find_known(session, issuer, visitor.user, cookie)
    found = devices.list_for(session, visitor.user)
    elsewhere = {each.issuer_tenant_id for each in found} - {issuer.tenant_id}
    names = tenants.names(session, elsewhere) if elsewhere else {}
    lines = [
        DeviceLine(
            *agents.describe(each.user_agent),
            names.get(each.issuer_tenant_id),
            each,
            each.id == current,
        )
        for each in found
    ]
    return sorted(
        lines,
        key=lambda line: (line.is_current, line.known.last_used_at, line.known.id),
        reverse=True,
    )


def of_consents(
    session: Session, issuer: Issuer, rows: Iterable[GivenConsent]
) -> list[ApplicationLine]:
    """List remembered consents, with their scopes in words."""
    return [
        ApplicationLine(
            id=consent.id,
            client_name=consent.client_name,
            host=consent.host,
            is_verified=consent.is_verified,
            tenant_name=consent.tenant_name,
            allowed_at=consent.created_at,
            scopes=_in_words(session, consent.scopes),
            start=_start(session, issuer, consent),
            start_host=urlsplit(consent.start or "").netloc,
        )
        for consent in rows
    ]


def _start(session: Session, issuer: Issuer, consent: GivenConsent) -> str | None:
    """Return the address that opens an application, where this issuer signs people in there."""
    if consent.start is None:
        return None
    if callers.known_now(session, issuer, consent.client_id) is None:
        return None
    return with_query(consent.start, {"iss": issuer.url})


def _of_session(
    row: BrowserSession, visitor: Visitor, names: Mapping[int, str], applications: list[str]
) -> SessionLine:
    browser, system = agents.describe(row.user_agent)
    return SessionLine(
        id=row.id,
        browser=browser,
        system=system,
        remote_addr=row.remote_addr,
        issuer_name=names.get(row.issuer_tenant_id),
        applications=applications,
        first_seen_at=row.created_at,
        signed_in_at=row.auth_time if row.auth_time - row.created_at > MINUTE else None,
        last_seen_at=row.last_seen_at,
        is_current=row.id == visitor.browser.id,
    )


def _in_words(session: Session, names: Sequence[str]) -> list[str]:
    rights, identity = resources.load_scopes(session, names, None)
    lines = {line.name: line.title for line in describe(names, identity, rights)}
    return [lines.get(name, name) for name in names]
