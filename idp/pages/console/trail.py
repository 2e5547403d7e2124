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
from idp.platform.audit.service import Filters

MOST = 50


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
    rows = audit.search(session, Filters(target=target, tags=tags), limit=limit)
    return _events(session, rows)


def of_client(session: Session, client_id: str) -> list[Event]:
    """List the last events of the protocol at a client. They do not say who signed in."""
    rows = audit.search(session, Filters(client_id=client_id), limit=MOST)
    return [Event(row.at, event_names.in_words(row.tag), None, (), row.request_id) for row in rows]


def of_person(session: Session, user_id: int, tenant_id: int | None, *, limit: int) -> list[Event]:
    """List what a person did and what was done to them, in one tenant or in all: three queries."""
    rows = audit.about_person(session, user_id, tenant_id=tenant_id, limit=limit)
    return _events(session, rows)


def latest(session: Session, tags: Collection[str], *, limit: int = 5) -> list[Event]:
    """List the last events with some tags, whatever they were about: two queries."""
    return _events(session, audit.search(session, Filters(tags=tags), limit=limit))


def _events(session: Session, rows: Sequence[AuditEvent]) -> list[Event]:
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
