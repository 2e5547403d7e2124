"""The rules about browser sessions: when they start, count, and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.db import AtomicWrite, new_row
from idp.platform.issuer import Issuer
from idp.platform.secrets import digest, random_token
from idp.platform.sessions.models import BrowserSession

SEEN_EVERY = timedelta(minutes=1)
MAX_USER_AGENT = 300
MAX_COOKIE = 100


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long sessions last, where a policy says so."""

    hours: int
    """Without `remember`."""
    days: int
    """With `remember`."""
    idle_minutes: int = 0
    """Without use; 0: as long as with it."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How and when a person proved who they are, and how long that lasts."""

    acr: str
    amr: Sequence[str]
    auth_time: datetime | None = None
    """When the first factor was proven; None: now."""
    mfa_at: datetime | None = None
    """When the second factor was proven; None: it was not."""
    phr_at: datetime | None = None
    """When a passkey was proven; None: it was not."""
    trusted_until: datetime | None = None
    """Until when a remembered device takes the place of a second factor; None: it does not."""
    lifetime: Lifetime | None = None
    """How long the session lasts; None: as the settings say."""


class SpentError(Exception):
    """What a session was to start with had happened already; nothing was written."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that a session starts with: both are there, or neither is."""

    write: AtomicWrite
    values: Mapping[str, Any]


_FIRST_COLUMNS = (
    "token_hash",
    "sid",
    "user_id",
    "issuer_tenant_id",
    "security_stamp",
    "auth_time",
    "acr",
    "amr",
    "mfa_at",
    "phr_at",
    "trusted_until",
    "remember",
    "remote_addr",
    "user_agent",
    "created_at",
    "last_seen_at",
    "expires_at",
    "ends_at",
    "idle_minutes",
)
_START = AtomicWrite(new_row(BrowserSession, *_FIRST_COLUMNS))
_LIVE = select(BrowserSession).where(
    BrowserSession.token_hash == bindparam("token_hash"),
    BrowserSession.issuer_tenant_id == bindparam("issuer_tenant_id"),
    BrowserSession.ended_at.is_(None),
    BrowserSession.expires_at > bindparam("now"),
)


def cookie_name(issuer: Issuer) -> str:
    """Name the cookie of an issuer; cookies ignore ports, so the name distinguishes issuers."""
    name = f"idp_{issuer.tenant_id}"
    return f"__Host-{name}" if issuer.is_secure else name


def start(  # noqa: PLR0913 - each by its name
    session: Session,
    issuer: Issuer,
    user_id: int,
    security_stamp: str,
    how: Authentication,
    *,
    remember: bool,
    event: Mapping[str, Any] | None = None,
    replaces: BrowserSession | None = None,
    change: Change | None = None,
) -> str:
    """Sign a person in and return the value of the new cookie.

    `event` is added to the audit log with the session: see `audit.columns`. `change` happens once:
    raise SpentError where it has happened already.

    The value is new every time, and what the browser sent before is worth nothing afterwards:
    an attacker cannot plant a session and wait for a person to sign in to it. The same person
    signing in again keeps the row and so the `sid` that clients know; anyone else gets a row of
    their own.
    """
    context = runtime.context_of(session)
    cookie = random_token()
    now = clock.now()
    lasts = how.lifetime or _lifetime_of(session)
    days = lasts.days if remember else 0
    ends_at = now + (timedelta(days=days) if days else timedelta(hours=lasts.hours))
    values: dict[str, Any] = {
        "token_hash": digest(cookie),
        "auth_time": how.auth_time or now,
        "acr": how.acr,
        "amr": list(how.amr),
        "mfa_at": how.mfa_at,
        "phr_at": how.phr_at,
        "trusted_until": how.trusted_until,
        "remember": remember,
        "remote_addr": context.remote_addr,
        "user_agent": (context.user_agent or "")[:MAX_USER_AGENT] or None,
        "last_seen_at": now,
        "expires_at": _expiry(now, ends_at, lasts.idle_minutes),
        "ends_at": ends_at,
        "idle_minutes": lasts.idle_minutes or None,
    }
    if change is not None and replaces is not None:
        _carry_out(session, change.write, change.values)
        change = None
    if replaces is not None and not _renew(session, replaces, user_id, security_stamp, values):
        end(session, replaces)
        replaces = None
    if replaces is not None:
        if event is not None:
            audit.add(session, event)
        return cookie
    values |= {
        "sid": random_token(16),
        "user_id": user_id,
        "issuer_tenant_id": issuer.tenant_id,
        "security_stamp": security_stamp,
        "created_at": now,
    }
    write = _START
    if change is not None:
        write = change.write.also(BrowserSession)
        values = {**_as_row(values), **change.values}
    if event is not None:
        write, values = write.also(AuditEvent), {**values, **event}
    _carry_out(session, write, values)
    return cookie


def _lifetime_of(session: Session) -> Lifetime:
    settings = runtime.of(session).settings
    return Lifetime(settings.session_hours, settings.remember_days)


def _expiry(now: datetime, ends_at: datetime, idle_minutes: int | None) -> datetime:
    """Return when a session ends that is not used after now."""
    return min(ends_at, now + timedelta(minutes=idle_minutes)) if idle_minutes else ends_at


def _as_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Name values of a session as those of a row that is written with another change."""
    return {f"{BrowserSession.__tablename__}__{name}": value for name, value in values.items()}


def _carry_out(session: Session, write: AtomicWrite, values: Mapping[str, Any]) -> None:
    if write.run(session, values) is None:
        raise SpentError


def _renew(
    session: Session,
    row: BrowserSession,
    user_id: int,
    security_stamp: str,
    values: dict[str, object],
) -> bool:
    """Carry a live session of the same person on under a new cookie value."""
    done = session.execute(
        update(BrowserSession)
        .where(
            BrowserSession.id == row.id,
            BrowserSession.token_hash == row.token_hash,
            BrowserSession.user_id == user_id,
            BrowserSession.security_stamp == security_stamp,
            BrowserSession.ended_at.is_(None),
            BrowserSession.expires_at > clock.now(),
        )
        .values(**values)
        .returning(BrowserSession.id)
    ).all()
    return bool(done)


def raise_level(
    session: Session,
    row: BrowserSession,
    *,
    acr: str,
    amr: Sequence[str],
    is_by_passkey: bool = False,
) -> str | None:
    """Note that the person of a live session proved a second factor; return its new cookie.

    The first factor stays as old as it is. Return None when the session ended meanwhile, or when
    it was renewed by another request.
    """
    cookie, now = random_token(), clock.now()
    raised = session.scalar(
        update(BrowserSession)
        .where(
            BrowserSession.id == row.id,
            BrowserSession.token_hash == row.token_hash,
            BrowserSession.ended_at.is_(None),
            BrowserSession.expires_at > clock.now(),
        )
        .values(
            token_hash=digest(cookie),
            acr=acr,
            amr=list(amr),
            mfa_at=now,
            phr_at=now if is_by_passkey else BrowserSession.phr_at,
        )
        .returning(BrowserSession.id)
    )
    return None if raised is None else cookie


def find(session: Session, issuer: Issuer, cookie: str | None) -> BrowserSession | None:
    """Find the session that a cookie stands for at this issuer.

    The caller compares `security_stamp` with the person's: a changed one ended the session.
    """
    if not cookie:
        return None
    values = {
        "token_hash": cookie_hash(cookie),
        "issuer_tenant_id": issuer.tenant_id,
        "now": clock.now(),
    }
    row = session.scalars(_LIVE, values).one_or_none()
    if row is not None:
        touch(session, row.id, row.last_seen_at)
    return row


def cookie_hash(cookie: str) -> bytes:
    """Return the hash that a session is found by."""
    return digest(cookie[:MAX_COOKIE])


def is_touch_due(last_seen_at: datetime) -> bool:
    """Return whether `touch` would note that a session is used now."""
    return last_seen_at <= clock.now() - SEEN_EVERY


def touch(session: Session, session_id: int, last_seen_at: datetime) -> bool:
    """Note that a session was used, once a minute at most; return whether it was noted.

    One that ends without use goes on for as long again.
    """
    if not is_touch_due(last_seen_at):
        return False
    now = clock.now()
    touched = session.execute(
        update(BrowserSession)
        .where(BrowserSession.id == session_id, BrowserSession.last_seen_at <= now - SEEN_EVERY)
        .values(last_seen_at=now)
        .returning(BrowserSession.ends_at, BrowserSession.idle_minutes)
    ).one_or_none()
    if touched is not None and touched.idle_minutes and touched.ends_at:
        session.execute(
            update(BrowserSession)
            .where(BrowserSession.id == session_id)
            .values(expires_at=_expiry(now, touched.ends_at, touched.idle_minutes))
        )
    return True


def end(session: Session, row: BrowserSession) -> bool:
    """End a session; return whether this call ended it."""
    done = session.execute(
        update(BrowserSession)
        .where(BrowserSession.id == row.id, BrowserSession.ended_at.is_(None))
        .values(ended_at=clock.now())
        .returning(BrowserSession.id)
    ).all()
    return bool(done)


def list_for(
    session: Session,
    user_id: int,
    security_stamp: str,
    *,
    after_id: int = 0,
    limit: int | None = None,
) -> list[BrowserSession]:
    """List the live sessions of a person by id; one with an earlier stamp is signed out already."""
    query = select(BrowserSession).where(
        BrowserSession.user_id == user_id,
        BrowserSession.security_stamp == security_stamp,
        BrowserSession.ended_at.is_(None),
        BrowserSession.expires_at > clock.now(),
        BrowserSession.id > after_id,
    )
    return list(session.scalars(query.order_by(BrowserSession.id).limit(limit)))


def end_all(session: Session, user_id: int, *, but: int | None = None) -> list[int]:
    """End every session of a person, save one perhaps; return the ids of those ended."""
    statement = update(BrowserSession).where(
        BrowserSession.user_id == user_id, BrowserSession.ended_at.is_(None)
    )
    if but is not None:
        statement = statement.where(BrowserSession.id != but)
    return list(
        session.scalars(statement.values(ended_at=clock.now()).returning(BrowserSession.id))
    )


def end_trust(session: Session, user_id: int) -> None:
    """End in all sessions of a person what their remembered devices spared them."""
    statement = update(BrowserSession).where(
        BrowserSession.user_id == user_id, BrowserSession.trusted_until.is_not(None)
    )
    statement = statement.values(trusted_until=None)
    session.execute(statement.execution_options(synchronize_session=False))


def restamp(session: Session, row: BrowserSession, security_stamp: str) -> None:
    """Keep a session valid after its person changed the stamp, by a new password for example."""
    session.execute(
        update(BrowserSession)
        .where(BrowserSession.id == row.id, BrowserSession.ended_at.is_(None))
        .values(security_stamp=security_stamp)
    )
