"""What happened at a person's own account lately, read from the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients.models import Client
from idp.directory.users.models import User
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import Filters, Position
from idp.platform.audit.tags import Tag

PERIOD = timedelta(days=90)
PAGE = 50

DONE_BY_PERSON = frozenset(
    {
        Tag.ADDRESS_CHANGED,
        Tag.ADDRESS_CHANGE_REFUSED,
        Tag.CONSENT_GIVEN,
        Tag.CONSENT_REVOKED,
        Tag.DEVICES_FORGOTTEN,
        Tag.DEVICE_COPIED,
        Tag.DEVICE_REMEMBERED,
        Tag.DEVICE_REMOVED,
        Tag.FACTOR_ADDED,
        Tag.FACTOR_REFUSED,
        Tag.FACTOR_REMOVED,
        Tag.LEVEL_RAISED,
        Tag.PASSWORD_CHANGED,
        Tag.PASSWORD_CHANGE_REFUSED,
        Tag.PASSWORD_RESET_DONE,
        Tag.PROFILE_CHANGED,
        Tag.QR_CONFIRMED,
        Tag.QR_DENIED,
        Tag.RECOVERY_CODES_MADE,
        Tag.RECOVERY_CODE_USED,
        Tag.SESSION_ENDED,
        Tag.SIGN_IN,
        Tag.SIGN_OUT,
        Tag.STOLEN_PASSWORD_USED,
        Tag.USER_REGISTERED,
    }
)
"""What people see of what they did."""
BY_ANYONE = frozenset({Tag.PASSWORD_RESET_REQUESTED, Tag.SIGN_IN_REFUSED})
"""What may have been tried by a stranger; its address is shown."""
DONE_BY_OTHERS = frozenset(
    {
        Tag.DEVICE_REVOKED,
        Tag.FACTORS_RESET,
        Tag.GRANT_ENDED,
        Tag.PASSWORD_SET,
        Tag.USER_CHANGED,
        Tag.USER_CREATED,
        Tag.USER_DISABLED,
        Tag.USER_ENABLED,
        Tag.USER_SIGNED_OUT,
        Tag.USER_UNLOCKED,
    }
)
"""What people see of what was done to their account; who did it is not shown."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of an account, without who did it."""

    at: datetime
    tag: Tag
    client_name: str | None
    remote_addr: str | None
    """None: it was not done from an address that concerns the person."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of events, the newest first, and where the next one begins."""

    events: Sequence[Happened]
    following: Position | None


def read(session: Session, user: User, before: Position | None = None) -> Page:
    """Return what happened at an account within the last 90 days: three queries."""
    since = clock.now() - PERIOD
    own = Filters(user_id=user.id, tags=DONE_BY_PERSON, since=since)
    other = Filters(target=f"user:{user.id}", tags=BY_ANYONE | DONE_BY_OTHERS, since=since)
    rows = [
        row
        for filters in (own, other)
        for row in audit.search(session, filters, limit=PAGE + 1, before=before)
    ]
    rows.sort(key=audit.position, reverse=True)
    shown = rows[:PAGE]
    names = _client_names(session, {row.client_id for row in shown if row.client_id is not None})
    following = audit.position(shown[-1]) if len(rows) > PAGE else None
    return Page([_happened(row, names) for row in shown], following)


def last_password_change(session: Session, user: User) -> datetime | None:
    """Return when a person chose their password, if that is within the last 90 days."""
    filters = Filters(
        user_id=user.id,
        tags={Tag.PASSWORD_CHANGED, Tag.PASSWORD_RESET_DONE},
        since=clock.now() - PERIOD,
    )
    return next((row.at for row in audit.search(session, filters, limit=1)), None)


def _client_names(session: Session, client_ids: set[str]) -> dict[str, str]:
    query = select(Client.client_id, Client.client_name).where(Client.client_id.in_(client_ids))
    return {client_id: name or client_id for client_id, name in session.execute(query)}


def _happened(row: AuditEvent, names: dict[str, str]) -> Happened:
    tag = Tag(row.tag)
    values: dict[str, Any] = {"client_name": None, "remote_addr": None}
    if tag not in DONE_BY_OTHERS:
        values = {"client_name": names.get(row.client_id or ""), "remote_addr": row.remote_addr}
    return Happened(row.at, tag, **values)
