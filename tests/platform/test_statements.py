"""Statements of the database: slow ones are logged without values, failures are counted."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import asyncpg
import psycopg
import pytest
from psycopg import errors
from sqlalchemy import String, bindparam, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from idp.platform import logs, statements
from idp.platform.connections.threads import NoAnswerError
from idp.platform.errors import Unavailable
from idp.platform.metrics.counts import Counts
from idp.runtime import create as create_runtime

SECRET = "Xq7-a-value-that-must-not-be-logged"


@pytest.fixture
def lines(capfd):
    """Return the lines logged so far, as JSON."""
    logs.setup("DEBUG", readable=False)

    def read(event):
        found = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line]
        assert SECRET not in json.dumps(found)
        return [line for line in found if line["event"] == event]

    return read


@pytest.fixture
def own(settings, session):
    """Return a runtime of this test alone: others share a dialect and what listens to it."""
    runtime = create_runtime(settings)
    yield runtime
    runtime.engine.dispose()


def counted(counts):
    added, _, _ = counts.take()
    return {
        labels[0]: amount
        for (metric, labels), amount in added.items()
        if metric.name == "idp_db_errors_total"
    }


@pytest.mark.settings(slow_seconds=1e-9)
def test_slow_statements_of_threads_are_logged_without_their_values(session, lines):
    session.scalar(text("SELECT :value"), {"value": SECRET})
    slow = lines("statement_slow")
    assert slow[-1]["where"] == "threads"
    assert slow[-1]["statement"].startswith("SELECT ")
    assert slow[-1]["seconds"] >= 0
    assert slow[-1]["level"] == "warning"


def test_statements_that_are_quick_are_not_logged(session, lines):
    session.scalar(text("SELECT :value"), {"value": SECRET})
    assert lines("statement_slow") == []


@pytest.mark.settings(slow_seconds=1e-9)
def test_statements_that_fail_slowly_are_logged_too(own, lines):
    with own.sessions() as session, pytest.raises(DBAPIError):
        session.execute(text("SELECT :value FROM nothing_of_this_name"), {"value": SECRET})
    assert "nothing_of_this_name" in lines("statement_slow")[-1]["statement"]


@pytest.mark.postgresql
def test_slow_statements_of_the_loop_are_logged_without_their_values(runtime, lines):
    from idp.platform.postgres import Pool

    counts = Counts()
    query = select(bindparam("value", type_=String), func.pg_sleep(literal_column("0.3")))

    async def ask():
        pool = Pool(runtime.engine, counts=counts, slow_seconds=0.25)
        await pool.rows(query, {"value": SECRET})
        await pool.rows(select(literal_column("1")), {})
        gauges = counts.take()[2]
        pool.close()
        return {labels: value for (_, labels), value in gauges.items()}

    held = asyncio.run(ask())
    (slow,) = lines("statement_slow")
    assert slow["where"] == "loop"
    assert "pg_sleep" in slow["statement"]
    assert held == {("loop", "idle"): 1, ("loop", "busy"): 0}


@pytest.mark.postgresql
def test_failures_of_the_loop_are_counted_by_kind(runtime):
    from idp.platform.postgres import Pool

    counts = Counts()
    ending = select(func.pg_terminate_backend(func.pg_backend_pid()))

    async def ask():
        pool = Pool(runtime.engine, counts=counts)
        with pytest.raises(Unavailable):
            await pool.rows(ending, {})
        pool.close()

    asyncio.run(ask())
    assert counted(counts) == {"lost": 2}  # a query starts again once


@pytest.mark.postgresql
def test_failures_of_threads_are_counted_by_kind(own):
    with own.sessions() as session, pytest.raises(DBAPIError):
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert counted(own.counts) == {"lost": 1}
    with own.sessions() as session:
        session.execute(text("SET statement_timeout = 10"))
        with pytest.raises(DBAPIError):
            session.execute(text("SELECT pg_sleep(1)"))
    assert counted(own.counts) == {"timeout": 1}


def test_a_mistake_in_a_statement_is_no_failure_of_the_database(own):
    with own.sessions() as session, pytest.raises(DBAPIError):
        session.execute(text("SELECT nothing FROM nothing_of_this_name"))
    assert counted(own.counts) == {}


def with_state(state):
    error = asyncpg.PostgresError()
    error.sqlstate = state
    return error


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (with_state("25006"), "read_only"),
        (with_state("08006"), "lost"),
        (with_state("57P01"), "lost"),
        (with_state("53300"), "lost"),
        (with_state("40001"), "conflict"),
        (with_state("40P01"), "conflict"),
        (with_state("55P03"), "conflict"),
        (with_state("57014"), "timeout"),
        (with_state("23505"), None),
        (with_state("22003"), None),
        (TimeoutError(), "timeout"),
        (NoAnswerError("no answer within 10 s"), "timeout"),
        (ConnectionResetError(), "lost"),
        (psycopg.OperationalError("the connection is closed"), "lost"),
        (psycopg.InterfaceError("closed"), "lost"),
        (asyncpg.InterfaceError("closed"), "lost"),
        (errors.UniqueViolation(), None),
        (psycopg.ProgrammingError("wrong"), None),
        (sqlite3.OperationalError("database is locked"), "conflict"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "read_only"),
        (sqlite3.OperationalError("disk I/O error"), "lost"),
        (sqlite3.OperationalError("no such table: x"), None),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), None),
    ],
)
def test_kinds_of_failures(error, kind):
    assert statements.kind_of(error) == kind
