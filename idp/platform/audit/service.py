"""Write the audit trail, search it, and forget what is older than the retention."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    TextClause,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.platform import clock, runtime
from idp.platform.audit import difference
from idp.platform.audit.difference import State
from idp.platform.audit.models import NOT_OF_CLIENTS, SIGN_INS, AuditEvent, AuditRetention
from idp.platform.audit.tags import Tag
from idp.platform.db import BigInt, new_row, write
from idp.platform.runtime import RequestContext
from idp.platform.secrets import MASK

MAX_TEXT = 500
PREFIX = "audit_event__"
MAX_PAGE = 1000
COLUMNS = (
    "id",
    "at",
    "tag",
    "user_id",
    "client_id",
    "tenant_id",
    "target",
    "remote_addr",
    "request_id",
    "details",
)
"""What is shown of an event."""

# fmt: off
_SECRET_WORDS = frozenset((
    "assertion", "authorization", "bearer", "code", "cookie", "credential", "csrf", "handle",
    "hash", "jwt", "otp", "passcode", "passphrase", "passwd", "password", "pin", "secret", "seed",
    "signature", "stamp", "ticket", "token", "verifier",
))
# A key that ends so describes a secret and is not the secret itself.
_DESCRIBING_WORDS = frozenset((
    "at", "by", "changed", "count", "days", "expires", "format", "generation", "id", "ids", "kind",
    "length", "lifetime", "method", "name", "reason", "required", "seconds", "status", "type",
    "used",
))
# fmt: on
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class SecretInAuditError(Exception):
    """A detail key names a secret. A mistake of ours: describe the secret, never store it."""


def record(
    session: Session,
    tag: Tag,
    *,
    user_id: int | None = None,
    client_id: str | None = None,
    tenant_id: int | None = None,
    target: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Add an event to the caller's transaction, with the address and id of its request.

    `user_id`, `client_id` and `tenant_id` say who acted and where, `target` what it was done to
    (`user:7`); behind the gate of a management operation its caller acts unless said otherwise.
    Unverified text may be passed: it is cut to size and cleaned.
    """
    values = _columns(runtime.context_of(session), tag, user_id, client_id, tenant_id, target)
    values["details"] = _safe(session, details) if details else None
    write(session, _RECORD, values)


def record_change(
    session: Session,
    tag: Tag,
    target: str,
    before: State,
    after: State,
    *,
    private: Collection[str] = (),
    tenant_id: int | None = None,
    user_id: int | None = None,
) -> None:
    """Add an event of a change: `before` is empty for what is new, `after` for what is deleted.

    Its details are a list `changes`; see `difference.between`, also for `private`.
    """
    details = {"changes": difference.between(before, after, private)}
    record(session, tag, user_id=user_id, tenant_id=tenant_id, target=target, details=details)


def add(session: Session, columns: Mapping[str, Any]) -> None:
    """Add an event that is there as `columns` to the caller's transaction."""
    write(session, _RECORD, {name.removeprefix(PREFIX): v for name, v in columns.items()})


def columns(
    context: RequestContext,
    tag: Tag,
    *,
    client_id: str | None,
    user_id: int | None = None,
    tenant_id: int | None = None,
    target: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an event as values for `db.AtomicWrite`, which adds it with its change.

    `details` are taken as they are: values of ours alone.
    """
    values = _columns(context, tag, user_id, client_id, tenant_id, target)
    if details is not None:
        values["details"] = details
    return {PREFIX + name: value for name, value in values.items()}


def _columns(
    context: RequestContext,
    tag: Tag,
    user_id: int | None,
    client_id: str | None,
    tenant_id: int | None,
    target: str | None,
) -> dict[str, Any]:
    return {
        "tag": tag.value,
        "user_id": context.user_id if user_id is None else user_id,
        "client_id": _clean(context.client_id if client_id is None else client_id, 200),
        "tenant_id": tenant_id,
        "target": _clean(target, 300),
        "remote_addr": _clean(context.remote_addr, 45),
        "request_id": _clean(context.request_id, 64),
    }


_RECORD = new_row(AuditEvent)


@dataclass(frozen=True, slots=True)
class Filters:
    """What events are searched by; None: by anything."""

    tag: str | None = None
    tags: Collection[str] | None = None
    """One of several."""
    user_id: int | None = None
    client_id: str | None = None
    tenant_id: int | None = None
    target: str | None = None
    """Found among what people, administrators and the system did, not what clients did."""
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is too late."""


class Position(NamedTuple):
    """Where an event stands in the order of time; several nodes write, so ids alone do not say."""

    at: datetime
    id: int


ANY = Filters()


def search(
    session: Session, filters: Filters = ANY, *, limit: int = 100, before: Position | None = None
) -> list[AuditEvent]:
    """List events, the newest first; `before` is where the last one of the page before stands."""
    query = _query(filters, before).limit(max(1, min(limit, MAX_PAGE)))
    return list(session.scalars(query))


def about_person(
    session: Session,
    user_id: int,
    *,
    tenant_id: int | None = None,
    limit: int = 100,
    before: Position | None = None,
) -> list[AuditEvent]:
    """List what a person did and what was done to them, the newest first.

    Two searches, for no index serves both; what the person did to themselves is found by both.
    """
    as_actor = Filters(user_id=user_id, tenant_id=tenant_id)
    as_target = Filters(target=f"user:{user_id}", tenant_id=tenant_id)
    found = {
        event.id: event
        for filters in (as_actor, as_target)
        for event in search(session, filters, limit=limit, before=before)
    }
    return sorted(found.values(), key=position, reverse=True)[:limit]


def position(event: AuditEvent) -> Position:
    """Return where an event stands."""
    return Position(event.at, event.id)


def position_of(session: Session, event_id: int) -> Position | None:
    """Return where the event with an id stands."""
    row = session.execute(
        select(AuditEvent.at, AuditEvent.id).where(AuditEvent.id == event_id)
    ).one_or_none()
    return None if row is None else Position(*row)


def position_after(
    session: Session, filters: Filters, rows: int, before: Position | None
) -> Position | None:
    """Return where the last of a number of events stands; None: there are no more than these."""
    query = _query(filters, before).with_only_columns(AuditEvent.at, AuditEvent.id)
    found = session.execute(query.offset(rows - 1).limit(2)).all()
    return Position(*found[0]) if len(found) > 1 else None


def _query(filters: Filters, before: Position | None) -> Select[AuditEvent]:
    query = select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.id.desc())
    for column, value in (
        (AuditEvent.tag, filters.tag),
        (AuditEvent.user_id, filters.user_id),
        (AuditEvent.client_id, filters.client_id),
        (AuditEvent.tenant_id, filters.tenant_id),
        (AuditEvent.target, filters.target),
        (AuditEvent.request_id, filters.request_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if filters.tags is not None:
        query = query.where(AuditEvent.tag.in_(filters.tags))
    if filters.target is not None:
        query = query.where(text(NOT_OF_CLIENTS))
    if filters.since is not None:
        query = query.where(AuditEvent.at >= filters.since)
    if filters.until is not None:
        query = query.where(AuditEvent.at < filters.until)
    if before is not None:
        same_time = and_(AuditEvent.at == before.at, AuditEvent.id < before.id)
        # The first condition is what an index can begin at.
        query = query.where(AuditEvent.at <= before.at, or_(AuditEvent.at < before.at, same_time))
    return query


def last_sign_ins(
    session: Session, user_ids: Collection[int], *, tenant_id: int | None = None
) -> dict[int, datetime]:
    """Return when people last signed in, at one issuer or at any; nobody who never did.

    Each person is looked up by themselves in the index, as in `last_of_clients`.
    """
    if not user_ids:
        return {}
    queries = [
        select(literal(user_id, BigInt), func.max(AuditEvent.at)).where(
            AuditEvent.user_id == user_id, *_is_sign_in(tenant_id)
        )
        for user_id in user_ids
    ]
    latest: dict[int, datetime | None] = dict(session.execute(union_all(*queries)).all())
    return {user_id: at for user_id, at in latest.items() if at is not None}


def has_signed_in(
    user_id: InstrumentedAttribute[int],
    since: datetime | None = None,
    *,
    tenant_id: int | None = None,
) -> ColumnElement[bool]:
    """Return in SQL who has signed in, at one issuer or at any, perhaps since a moment."""
    query = select(AuditEvent.id).where(AuditEvent.user_id == user_id, *_is_sign_in(tenant_id))
    return (query if since is None else query.where(AuditEvent.at >= since)).exists()


def _is_sign_in(tenant_id: int | None) -> list[ColumnElement[bool] | TextClause]:
    at_issuer = [] if tenant_id is None else [AuditEvent.tenant_id == tenant_id]
    return [text(SIGN_INS), *at_issuer]


def find(session: Session, event_id: int, *, tenant_id: int | None = None) -> AuditEvent | None:
    """Return an event, with a tenant only one of that tenant."""
    query = select(AuditEvent).where(AuditEvent.id == event_id)
    if tenant_id is not None:
        query = query.where(AuditEvent.tenant_id == tenant_id)
    return session.scalars(query).one_or_none()


def last_of_clients(
    session: Session, client_ids: Collection[str], tags: Collection[str]
) -> dict[str, datetime]:
    """Return when the last event with one of several tags was, for clients that have one.

    Each client is looked up by itself in the index, however many events it has.
    """
    if not client_ids:
        return {}
    queries = [
        select(literal(client_id), func.max(AuditEvent.at)).where(
            AuditEvent.client_id == client_id, AuditEvent.tag.in_(tags)
        )
        for client_id in client_ids
    ]
    latest: dict[str, datetime | None] = dict(session.execute(union_all(*queries)).all())
    return {client_id: at for client_id, at in latest.items() if at is not None}


def remove_older_than(
    session: Session,
    days: int,
    *,
    tag: Tag | None = None,
    since: datetime | None = None,
    limit: int = 500,
) -> Sequence[datetime]:
    """Delete a batch of events older than the retention and return when they happened.

    Of all events, or of those of one kind. `since` is when the last one of the batch before
    happened: the database would begin with the oldest event again, of whichever kind, and pass all
    those that are kept for longer. The row in `audit_retention` opens the triggers' guard for this
    transaction alone.
    """
    conditions = [AuditEvent.at < clock.now() - timedelta(days=days)]
    if tag is not None:
        conditions.append(AuditEvent.tag == tag.value)
    if since is not None:
        conditions.append(AuditEvent.at >= since)
    old = (
        select(AuditEvent.id)
        .where(*conditions)
        .order_by(AuditEvent.at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    session.execute(insert(AuditRetention))
    removed = session.scalars(
        delete(AuditEvent).where(AuditEvent.id.in_(select(old.c.id))).returning(AuditEvent.at),
        execution_options={"synchronize_session": False},
    ).all()
    session.execute(delete(AuditRetention), execution_options={"synchronize_session": False})
    return removed


def _safe(session: Session, details: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _safe_value(session, key, value) for key, value in details.items()}


def _safe_value(session: Session, key: str, value: Any) -> Any:
    if names_secret(key):
        if runtime.of(session).settings.environment == "development":
            raise SecretInAuditError(key)
        return MASK
    if isinstance(value, Mapping):
        return _safe(session, value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe_value(session, key, item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    # Whatever a JWT was passed as: its header begins with {" in base64url.
    return MASK if text.startswith("eyJ") else _clean(text, MAX_TEXT)


def names_secret(key: str) -> bool:
    """Whether a key, in any spelling, names a secret rather than something about one."""
    words = [word.lower() for word in _WORD.findall(key)]
    if not words or words[-1] in _DESCRIBING_WORDS:
        return False
    return any(word in _SECRET_WORDS or word.removesuffix("s") in _SECRET_WORDS for word in words)


def _clean(text: str | None, size: int) -> str | None:
    """Cut to the column's size; PostgreSQL takes neither NUL nor lone surrogates."""
    if text is None:
        return None
    text = text[:size]
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
