"""Audit events of a thing, in words: what happened, who did it, when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.users import service as users
from idp.pages.console import event_names
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag

OF_PEOPLE = (
    Tag.CONSENT_ENDED,
    Tag.GRANT_ENDED,
    Tag.MEMBER_ADDED,
    Tag.MEMBER_REMOVED,
    Tag.PASSWORD_RESET_ASKED,
    Tag.PASSWORD_SET,
    Tag.ROLE_GIVEN,
    Tag.ROLE_TAKEN,
    Tag.USER_CHANGED,
    Tag.USER_CREATED,
    Tag.USER_DELETED,
    Tag.USER_DISABLED,
    Tag.USER_ENABLED,
    Tag.USER_SIGNED_OUT,
    Tag.USER_UNLOCKED,
)
"""Events whose target is a person."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as pages show it."""

    at: datetime
    title: str
    who: str | None
    """None: nobody who is known, such as the machine itself."""
    changes: Sequence[Any]
    request_id: str | None


def of(session: Session, target: str, tags: Collection[str], *, limit: int = 5) -> list[Event]:
    """List the events of a thing with some tags, the newest first: two queries."""
    return _shown(session, audit.search(session, target=target, tags=tags, limit=limit))


def of_person(session: Session, user_id: int, tenant_id: int | None, *, limit: int) -> list[Event]:
    """List what a person did and what was done to them, in one tenant or in all: three queries."""
    by_them = audit.search(session, user_id=user_id, tenant_id=tenant_id, limit=limit)
    to_them = audit.search(
        session, target=f"user:{user_id}", tags=OF_PEOPLE, tenant_id=tenant_id, limit=limit
    )
    rows = {row.id: row for row in (*by_them, *to_them)}.values()
    newest = sorted(rows, key=lambda row: (row.at, row.id), reverse=True)
    return _shown(session, newest[:limit])


def _shown(session: Session, rows: Sequence[AuditEvent]) -> list[Event]:
    names = users.names_of(session, {row.user_id for row in rows if row.user_id is not None})
    return [
        Event(
            row.at,
            event_names.in_words(row.tag),
            names.get(row.user_id) if row.user_id is not None else None,
            (row.details or {}).get("changes", ()),
            row.request_id,
        )
        for row in rows
    ]
