"""Backfills: batch by batch, each in a transaction together with its progress.

A worker that is killed loses one batch, which the next one does again. Code of before writes rows
in their old form for as long as it runs, so a backfill waits for its nodes to stop, and starts over
when one comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from idp.platform import clock, steps
from idp.platform.backfills.models import BackfillProgress
from idp.platform.db import insert
from idp.platform.releases import service as releases
from idp.platform.runtime import Runtime

log = structlog.get_logger()

BATCH = 1000
PAUSE_SECONDS = 0.05
"""Between two batches, so that others get SQLite's one writer's place."""
LAG_BYTES = 64 * 1024 * 1024
"""A standby that has so much left to replay is waited for, until the next run of the chore."""

_LAG = text(
    "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)"
    " FROM pg_stat_replication"
)
"""A role that may not see standbys reads 0."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Rows of one table that are brought to another form."""

    name: str
    convert: Callable[[Session, int, int], int | None]
    """Takes a key and a number: converts at most so many rows above the key, in the order of their
    keys, and returns the last key; None when no row is left. It may meet a row twice."""


def run(runtime: Runtime, stop: threading.Event, backfills: Sequence[Backfill]) -> None:
    """Do what is not done, unless code of before runs."""
    if not backfills:
        return
    with runtime.sessions() as session:
        older = releases.running(session, below=steps.number())
        if older:
            start_over(session)
            session.commit()
    if older:
        return
    for backfill in backfills:
        while not stop.is_set():
            if _is_lagging(runtime) or not _do_batch(runtime, backfill):
                break
            stop.wait(PAUSE_SECONDS)


def start_over(session: Session) -> None:
    """Look at every row again."""
    session.execute(update(BackfillProgress).values(cursor=0, done_at=None))


def unfinished(session: Session, names: Sequence[str]) -> list[str]:
    """Return those of the backfills that are not done."""
    is_done = BackfillProgress.done_at.is_not(None)
    query = select(BackfillProgress.name).where(BackfillProgress.name.in_(names), is_done)
    done = set(session.scalars(query))
    return [name for name in names if name not in done]


def _is_lagging(runtime: Runtime) -> bool:
    """Return whether a standby is behind; each batch would put it further behind."""
    if runtime.engine.dialect.name != "postgresql":
        return False
    with runtime.sessions() as session:
        behind = int(session.scalar(_LAG) or 0)
    if behind > LAG_BYTES:
        log.info("backfill_paused", standby_behind_bytes=behind)
    return behind > LAG_BYTES


def _do_batch(runtime: Runtime, backfill: Backfill) -> bool:
    """Convert the next rows; return whether there may be more for this worker."""
    with runtime.sessions() as session:
        progress = _take(session, backfill.name)
        if progress is None or progress.done_at is not None:
            return False
        last = backfill.convert(session, progress.cursor, BATCH)
        if last is None:
            progress.done_at = clock.now()
        else:
            progress.cursor = last
        session.commit()
    return last is not None


def _take(session: Session, name: str) -> BackfillProgress | None:
    """Return the progress for this transaction alone; None while another worker has it."""
    statement = insert(session, BackfillProgress).values(name=name, cursor=0)
    session.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
    query = select(BackfillProgress).where(BackfillProgress.name == name)
    return session.scalar(query.with_for_update(skip_locked=True))
