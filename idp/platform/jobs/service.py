"""The outbox: leave work in a transaction, take it, record the outcome.

A message is worked on at least once. It is committed together with what caused it; a worker takes
it for the length of a lease, works without a transaction, and reports. Who dies in between has
worked without telling, and the message is taken again when the lease is over: receivers recognise
a repetition by the message's own id (`Message-ID`, `Idempotency-Key`).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, Select, and_, case, func, select, update
from sqlalchemy.orm import Session, defer

from idp.platform import clock, runtime, tracing
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import Conflict, NotFound, Unprocessable
from idp.platform.jobs.models import OutboxMessage
from idp.platform.translation import N_, parts_of

PURPOSE = "outbox"
MAX_ATTEMPTS = 12
"""Tries over about three and a half hours."""
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 3600
LEASE_SECONDS = {"notify": 120, "gateway": 600, "build": 900}
"""Per lane, longer than its jobs take; who takes longer loses the lease, and it is done again."""

_BATCH = 500
_UNSYNCHRONIZED = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that a worker holds; `attempt` distinguishes its lease from a later one."""

    id: int
    lane: str
    job: str
    payload_encrypted: str
    attempt: int
    worker: str
    trace: str | None = None
    """The step of a trace that it was left by."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is not done, without its payload."""

    id: int
    lane: str
    job: str
    attempts: int
    created_at: datetime
    due_at: datetime
    failed_at: datetime | None
    last_error: str | None


def enqueue(
    session: Session,
    job: str,
    payload: Mapping[str, Any],
    *,
    lane: str = "notify",
    delay_seconds: int = 0,
) -> int:
    """Leave a job for the worker in the caller's transaction and return the message's id."""
    if lane not in LEASE_SECONDS:
        raise ValueError(f"unknown lane {lane}")
    message = OutboxMessage(
        lane=lane,
        job=job,
        payload_encrypted=runtime.of(session).keyring.encrypt(PURPOSE, orjson.dumps(payload)),
        due_at=clock.now() + timedelta(seconds=delay_seconds),
        trace=tracing.traceparent(),
    )
    session.add(message)
    session.flush()
    return message.id


def open_payload(process: runtime.Runtime, taken: Taken) -> dict[str, Any]:
    """Decrypt the payload; UnknownKeyError when its root secret is gone."""
    clear = process.keyring.decrypt(PURPOSE, taken.payload_encrypted)
    return cast("dict[str, Any]", orjson.loads(clear))


def take(session: Session, lane: str, worker: str) -> Taken | None:
    """Take the message that is due longest, for the length of a lease.

    One at a time, so that no message waits under a lease that a slow one before it outlives. The
    caller commits before it works.
    """
    moment = clock.now()
    due = (
        select(OutboxMessage.id)
        .where(OutboxMessage.lane == lane, _is_open(), OutboxMessage.due_at <= moment)
        .order_by(OutboxMessage.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)  # on PostgreSQL; SQLite has one writer at a time
        .cte("due")
    )
    row = session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(select(due.c.id)), _is_open())
        .values(
            claimed_by=worker,
            attempts=OutboxMessage.attempts + 1,
            due_at=moment + timedelta(seconds=LEASE_SECONDS[lane]),
        )
        .returning(
            OutboxMessage.id,
            OutboxMessage.job,
            OutboxMessage.payload_encrypted,
            OutboxMessage.attempts,
            OutboxMessage.trace,
        ),
        execution_options=_UNSYNCHRONIZED,
    ).one_or_none()
    if row is None:
        return None
    payload = row.payload_encrypted or ""
    return Taken(row.id, lane, row.job, payload, row.attempts, worker, row.trace)


def finish(session: Session, taken: Taken) -> bool:
    """Mark the message done and erase the payload; False when the lease was lost."""
    return _report(
        session,
        taken,
        done_at=clock.now(),
        payload_encrypted=None,
        claimed_by=None,
        last_error=None,
        reason_parts=None,
    )


def put_off(session: Session, taken: Taken, error: str) -> bool:
    """Record why an attempt failed; the next one follows after a longer pause."""
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (taken.attempt - 1), LONGEST_PAUSE_SECONDS)
    # Jitter: what failed together must not come back together.
    pause *= random.uniform(0.75, 1.25)  # noqa: S311 - no secret
    due_at = clock.now() + timedelta(seconds=pause)
    return _report(session, taken, due_at=due_at, claimed_by=None, **_reason(error))


def give_up(session: Session, taken: Taken, error: str) -> bool:
    """Record why no attempt can succeed; the operator sees the message until the clean-up."""
    return _report(session, taken, failed_at=clock.now(), claimed_by=None, **_reason(error))


def _reason(error: str) -> dict[str, Any]:
    return {"last_error": error[:500], "reason_parts": parts_of(error)}


def list_open(
    session: Session, *, failed: bool | None = None, after_id: int = 0, limit: int = 100
) -> list[Waiting]:
    """Return a page of messages that are not done, the oldest first, without their content.

    `failed`: only those that were given up, or only those that still wait.
    """
    query = _select_open().where(OutboxMessage.id > after_id)
    if failed is not None:
        given_up = OutboxMessage.failed_at.is_not(None)
        query = query.where(given_up if failed else ~given_up)
    query = query.order_by(OutboxMessage.id).limit(limit)
    return [Waiting(*row) for row in session.execute(query)]


def open_query(state: str | None = None, lane: str | None = None) -> Select[OutboxMessage]:
    """Return the query of messages that are not done, without their content.

    `state` is `waiting` or `failed`.
    """
    query = select(OutboxMessage).where(OutboxMessage.done_at.is_(None))
    if state is not None:
        failed = OutboxMessage.failed_at.is_not(None)
        query = query.where(failed if state == "failed" else ~failed)
    if lane is not None:
        query = query.where(OutboxMessage.lane == lane)
    return query.options(defer(OutboxMessage.payload_encrypted, raiseload=True))


def get_open(session: Session, message_id: int) -> Waiting:
    """Return a message that is not done, without its content."""
    row = session.execute(_select_open().where(OutboxMessage.id == message_id)).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such message, or it is done."))
    return Waiting(*row)


def count_open(session: Session) -> tuple[int, int]:
    """Return how many messages wait, and how many were given up."""
    waiting = session.scalar(select(func.count()).select_from(OutboxMessage).where(_is_open()))
    failed = session.scalar(
        select(func.count())
        .select_from(OutboxMessage)
        .where(OutboxMessage.failed_at.is_not(None), OutboxMessage.done_at.is_(None))
    )
    return waiting or 0, failed or 0


def retry_failed(session: Session, ids: Collection[int] | None = None) -> list[int]:
    """Try again what was given up, from the first attempt on; return the ids of it.

    Without ids everything that was given up. Messages that wait or are done stay as they are.
    """
    failed = update(OutboxMessage).where(
        OutboxMessage.failed_at.is_not(None), OutboxMessage.done_at.is_(None)
    )
    if ids is not None:
        failed = failed.where(OutboxMessage.id.in_(ids))
    revived = session.scalars(
        failed.values(failed_at=None, attempts=0, due_at=clock.now()).returning(OutboxMessage.id),
        execution_options=_UNSYNCHRONIZED,
    ).all()
    if revived:
        audit.record(session, Tag.OUTBOX_RETRIED, details={"count": len(revived)})
    return sorted(revived)


def drop(session: Session, message_id: int) -> None:
    """Erase a message to people, so that it is not sent.

    Conflict while a worker holds it. Other jobs belong to rows that wait for them.
    """
    if get_open(session, message_id).lane != "notify":
        raise Unprocessable(N_("Only messages to people can be dropped."))
    dropped = (
        update(OutboxMessage)
        .where(
            OutboxMessage.id == message_id,
            OutboxMessage.claimed_by.is_(None),
            OutboxMessage.done_at.is_(None),
        )
        .values(done_at=clock.now(), payload_encrypted=None)
    )
    if not count_hits(session, dropped.execution_options(**_UNSYNCHRONIZED)):
        raise Conflict(N_("A worker holds this message now; try again."))
    audit.record(session, Tag.OUTBOX_DROPPED, target=f"message:{message_id}")


def withdraw(session: Session, message_id: int) -> None:
    """Cancel a message; one that a worker holds is left to the worker."""
    _unless_taken(session, message_id, done_at=clock.now(), payload_encrypted=None)


def hasten(session: Session, message_id: int) -> None:
    """Make a message due at once, unless a worker holds it."""
    _unless_taken(session, message_id, due_at=clock.now())


@dataclass(frozen=True, slots=True)
class Lane:
    """What a lane of the outbox holds."""

    waiting: int = 0
    failed: int = 0
    oldest_seconds: float = 0.0
    """For how long the oldest message has been overdue; 0 when none is."""


def lanes(session: Session) -> dict[str, Lane]:
    """Return what each lane holds, by two queries on indexes that know no message that is done."""
    moment = clock.now()
    waiting = session.execute(
        select(OutboxMessage.lane, func.count(), func.min(_overdue_since(moment)))
        .where(_is_open())
        .group_by(OutboxMessage.lane)
    ).all()
    given_up = session.execute(
        select(OutboxMessage.lane, func.count())
        .where(OutboxMessage.failed_at.is_not(None), OutboxMessage.done_at.is_(None))
        .group_by(OutboxMessage.lane)
    ).all()
    failed = dict(given_up)
    found = {lane: Lane(failed=failed.get(lane, 0)) for lane in LEASE_SECONDS}
    for lane, count, since in waiting:
        found[lane] = Lane(count, failed.get(lane, 0), _seconds_since(since, moment))
    return found


def oldest_seconds(session: Session) -> float:
    """Return how many seconds the oldest message is overdue; 0 when nothing waits."""
    moment = clock.now()
    since = session.scalar(select(func.min(_overdue_since(moment))).where(_is_open()))
    return _seconds_since(since, moment)


def _overdue_since(moment: datetime) -> ColumnElement[datetime]:
    """Return in SQL since when an open message is overdue; NULL: it is not."""
    # The first try is due when it was asked for; later ones since the message was made.
    return case(
        (OutboxMessage.attempts > 0, OutboxMessage.created_at),
        (OutboxMessage.due_at <= moment, OutboxMessage.due_at),
    )


def _seconds_since(since: datetime | None, moment: datetime) -> float:
    return max(0.0, (moment - since).total_seconds()) if since else 0.0


def rewrap(session: Session) -> int:
    """Encrypt waiting payloads again under the current root secret and return their number."""
    keyring = runtime.of(session).keyring
    rows = session.execute(
        select(OutboxMessage.id, OutboxMessage.payload_encrypted).where(
            OutboxMessage.payload_encrypted.is_not(None),
            OutboxMessage.payload_encrypted.not_like(f"{keyring.current}.%"),
        )
    ).all()
    count = 0
    for message_id, stored in rows:
        old = stored or ""
        new = keyring.encrypt(PURPOSE, keyring.decrypt(PURPOSE, old))
        # Not when it was delivered, and so erased, meanwhile.
        changed = session.scalar(
            update(OutboxMessage)
            .where(OutboxMessage.id == message_id, OutboxMessage.payload_encrypted == old)
            .values(payload_encrypted=new)
            .returning(OutboxMessage.id),
            execution_options=_UNSYNCHRONIZED,
        )
        count += changed is not None
    return count


def drop_unreadable(session: Session) -> int:
    """Erase waiting payloads that no root secret opens and return their number."""
    keyring = runtime.of(session).keyring
    rows = session.execute(
        select(OutboxMessage.id, OutboxMessage.payload_encrypted).where(
            OutboxMessage.payload_encrypted.is_not(None)
        )
    ).all()
    lost = [row_id for row_id, stored in rows if not keyring.opens(PURPOSE, stored or "")]
    for start in range(0, len(lost), _BATCH):
        session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id.in_(lost[start : start + _BATCH]))
            .values(done_at=clock.now(), payload_encrypted=None),
            execution_options=_UNSYNCHRONIZED,
        )
    return len(lost)


def _select_open() -> Select[int, str, str, int, datetime, datetime, datetime | None, str | None]:
    return select(
        OutboxMessage.id,
        OutboxMessage.lane,
        OutboxMessage.job,
        OutboxMessage.attempts,
        OutboxMessage.created_at,
        OutboxMessage.due_at,
        OutboxMessage.failed_at,
        OutboxMessage.last_error,
    ).where(OutboxMessage.done_at.is_(None))


def _is_open() -> ColumnElement[bool]:
    return and_(OutboxMessage.done_at.is_(None), OutboxMessage.failed_at.is_(None))


def _unless_taken(session: Session, message_id: int, **values: Any) -> None:
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == message_id, OutboxMessage.claimed_by.is_(None), _is_open())
        .values(**values),
        execution_options=_UNSYNCHRONIZED,
    )


def _report(session: Session, taken: Taken, **values: Any) -> bool:
    """Change the message if this worker's lease is still the latest one."""
    changed = session.scalar(
        update(OutboxMessage)
        .where(
            OutboxMessage.id == taken.id,
            OutboxMessage.claimed_by == taken.worker,
            OutboxMessage.attempts == taken.attempt,
            _is_open(),
        )
        .values(**values)
        .returning(OutboxMessage.id),
        execution_options=_UNSYNCHRONIZED,
    )
    return changed is not None
