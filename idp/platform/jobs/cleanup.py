"""Remove rows whose time is over, in batches small enough to delay no one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, inspect, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import FREQUENT, Tag
from idp.platform.runtime import Runtime

BATCH = 500
PAUSE_SECONDS = 0.05
"""Between two batches, so that others get SQLite's one writer's place."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Rows of a table go when `column` lies `keep_seconds` in the past; empty ones stay."""

    column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]
    keep_seconds: int
    batch: int | None = None
    """How many rows go at a time; None: as many as usual."""


def run(runtime: Runtime, stop: threading.Event, expiries: Sequence[Expiry]) -> int:
    """Remove everything that is over now, batch by batch, and return the number of rows."""
    total = 0
    for expiry in expiries:
        batch = expiry.batch or BATCH
        removed = batch
        while removed == batch and not stop.is_set():
            with runtime.sessions() as session:
                removed = remove_batch(session, expiry, limit=batch)
                session.commit()
            total += removed
            if removed == batch:
                stop.wait(PAUSE_SECONDS)
    return total


def remove_batch(session: Session, expiry: Expiry, *, limit: int = BATCH) -> int:
    """Remove at most `limit` rows, the oldest first; what depends on them goes with them."""
    model = expiry.column.class_
    (key,) = inspect(model).primary_key
    over = (
        select(key)
        .where(expiry.column < clock.now() - timedelta(seconds=expiry.keep_seconds))
        .order_by(expiry.column)
        .limit(limit)
        # On PostgreSQL two workers clean different rows, and rows in use are left for later.
        .with_for_update(skip_locked=True)
        .cte("over")
    )
    removed = session.execute(
        delete(model).where(key.in_(select(over.c[key.name]))).returning(key),
        execution_options={"synchronize_session": False},
    ).all()
    return len(removed)


def forget_audit(runtime: Runtime, stop: threading.Event) -> int:
    """Remove audit events that are older than their kind is kept, and return their number."""
    settings = runtime.settings
    frequent = ((tag, settings.audit_token_days) for tag in FREQUENT)
    kept: Sequence[tuple[Tag | None, int]] = [*frequent, (None, settings.audit_days)]
    return sum(_forget(runtime, stop, tag, days) for tag, days in kept)


def _forget(runtime: Runtime, stop: threading.Event, tag: Tag | None, days: int) -> int:
    """Remove events of one kind, or of any, batch by batch."""
    total, since, is_more = 0, None, True
    while is_more and not stop.is_set():
        with runtime.sessions() as session:
            removed = audit.remove_older_than(session, days, tag=tag, since=since, limit=BATCH)
            session.commit()
        total += len(removed)
        since, is_more = max(removed, default=None), len(removed) == BATCH
        if is_more:
            stop.wait(PAUSE_SECONDS)
    return total
