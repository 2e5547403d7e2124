"""Backfills, by one that is made for these tests."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from idp.platform import clock, steps
from idp.platform.backfills import service as backfills
from idp.platform.backfills.models import BackfillProgress
from idp.platform.backfills.service import Backfill
from idp.platform.jobs.models import OutboxMessage
from idp.platform.releases.models import Node
from idp.platform.runtime import Runtime
from idp.runtime import create as create_runtime
from tests.conftest import _migrate_and_seed, make_settings
from tests.databases import create_database
from tests.servers import Postgres

ROWS = 25
OLD, NEW = "test.old", "test.new"


class Killed(BaseException):
    """Stands for a worker that was killed."""


def convert(session: Session, above: int, limit: int) -> int | None:
    """Rename the jobs of messages."""
    query = select(OutboxMessage.id).where(OutboxMessage.id > above)
    ids = session.scalars(query.order_by(OutboxMessage.id).limit(limit)).all()
    renamed = update(OutboxMessage).where(OutboxMessage.id.in_(ids), OutboxMessage.job == OLD)
    session.execute(renamed.values(job=NEW), execution_options={"synchronize_session": False})
    return ids[-1] if ids else None


NAMES = Backfill("names", convert)


@pytest.fixture(autouse=True)
def rows(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "BATCH", 10)
    monkeypatch.setattr(backfills, "PAUSE_SECONDS", 0)
    add(session, ROWS)


def add(session: Session, count: int) -> None:
    session.execute(insert(OutboxMessage), [{"lane": "notify", "job": OLD}] * count)
    session.commit()


def left(session: Session) -> int:
    found = session.scalar(
        select(func.count()).select_from(OutboxMessage).where(OutboxMessage.job == OLD)
    )
    session.commit()
    return found or 0


def progress(session: Session) -> BackfillProgress:
    session.expire_all()
    row = session.get_one(BackfillProgress, "names")
    session.commit()
    return row


def run(runtime: Runtime, backfill: Backfill = NAMES) -> None:
    backfills.run(runtime, threading.Event(), [backfill])


def test_every_row_is_converted_and_the_end_is_recorded(runtime: Runtime, session: Session) -> None:
    assert backfills.unfinished(session, ["names"]) == ["names"]
    session.commit()
    run(runtime)
    assert left(session) == 0
    assert progress(session).done_at is not None
    assert backfills.unfinished(session, ["names", "other"]) == ["other"]


def test_one_that_is_done_is_not_done_again(runtime: Runtime, session: Session) -> None:
    run(runtime)
    add(session, 1)
    run(runtime)
    assert left(session) == 1


def test_one_that_was_killed_goes_on_after_the_last_whole_batch(
    runtime: Runtime, session: Session
) -> None:
    seen: list[int] = []

    def dies(batches: int, session: Session, above: int, limit: int) -> int | None:
        seen.append(above)
        last = convert(session, above, limit)
        if len(seen) > batches:
            raise Killed
        return last

    with pytest.raises(Killed):
        run(runtime, Backfill("names", partial(dies, 1)))
    assert left(session) == ROWS - 10  # the second batch is not half there
    reached = progress(session).cursor
    assert reached > 0
    assert progress(session).done_at is None
    seen.clear()
    run(runtime, Backfill("names", partial(dies, 99)))
    assert seen[0] == reached
    assert left(session) == 0


def test_it_stops_with_the_worker(runtime: Runtime, session: Session) -> None:
    stop = threading.Event()

    def stops(session: Session, above: int, limit: int) -> int | None:
        stop.set()
        return convert(session, above, limit)

    backfills.run(runtime, stop, [Backfill("names", stops)])
    assert left(session) == ROWS - 10


def test_it_waits_for_nodes_of_before_and_looks_again_after_them(
    runtime: Runtime, session: Session
) -> None:
    run(runtime)
    old = {"name": "old", "release": "0.0.9", "schema_number": steps.number() - 1}
    session.execute(insert(Node).values(**old, seen_at=clock.now()))
    add(session, 3)
    run(runtime)
    assert left(session) == 3
    assert backfills.unfinished(session, ["names"]) == ["names"]
    session.execute(update(Node).values(seen_at=clock.now() - backfills.releases.timedelta(days=1)))
    session.commit()
    run(runtime)
    assert left(session) == 0
    assert progress(session).done_at is not None


@pytest.mark.no_database
def test_it_pauses_while_a_standby_is_behind(tmp_path: Path) -> None:
    primary, standby = Postgres(durable=True), Postgres(durable=True)
    try:
        primary.start()
        create_database(primary, "lagging")
        _migrate_and_seed(primary.url("lagging"), tmp_path)
        standby.start(primary)
        settings = make_settings(tmp_path, database_url=primary.url("lagging"))
        runtime = create_runtime(settings)
        with runtime.sessions() as session:
            add(session, ROWS)
            standby.freeze()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(backfills, "LAG_BYTES", 1)
                end = time.monotonic() + 30
                while not backfills._is_lagging(runtime):  # until the primary knows of both
                    assert time.monotonic() < end
                    add(session, 1)
                waiting = left(session)
                run(runtime)
                assert left(session) == waiting
                standby.thaw()
                while backfills._is_lagging(runtime):
                    assert time.monotonic() < end
                    time.sleep(0.05)
            run(runtime)
            assert left(session) == 0
        runtime.engine.dispose()
    finally:
        standby.end()
        primary.end()


@pytest.mark.postgresql
def test_two_workers_do_not_convert_the_same_rows(runtime: Runtime, session: Session) -> None:
    run_once = backfills._do_batch
    assert run_once(runtime, NAMES) is True
    with runtime.sessions() as other:
        assert backfills._take(other, "names") is not None
        assert run_once(runtime, NAMES) is False  # it is taken
        other.rollback()
    assert left(session) == ROWS - 10
    run(runtime)
    assert left(session) == 0
