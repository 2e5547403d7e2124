"""How long statements of the database take, and how they fail: counted, and logged when slow."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import structlog
from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import DB_CONNECTIONS, DB_ERRORS, DB_WAIT_SECONDS

log = structlog.get_logger("idp.statements")

SLOW_SECONDS = 0.5
WAITED_SECONDS = 0.001
"""A thread that was handed a connection later than this had to wait for it."""
LONGEST = 4000

_KINDS = {
    "25006": "read_only",
    "57014": "timeout",
    "55P03": "conflict",
    "25P03": "timeout",  # idle in a transaction
}
"""SQLSTATE of PostgreSQL → kind of failure."""
_KINDS_OF_CLASSES = {"08": "lost", "53": "lost", "57": "lost", "40": "conflict"}
"""The same for the first two characters."""
_KINDS_OF_SQLITE = {
    "locked": "conflict",
    "readonly": "read_only",
    "disk": "lost",
    "unable to open": "lost",
}
"""Part of a message of SQLite → kind of failure."""
_WITHOUT_STATE = frozenset({"OperationalError", "InterfaceError", "InternalClientError"})
"""Errors of the drivers about their connection, by name: SQLite loads neither driver."""


def watch(engine: Engine, counts: Counts, slow_seconds: float) -> None:
    """Count the failures of an engine's statements and log slow ones, without their values."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(
        _connection: Any, _cursor: Any, _text: str, _values: Any, context: Any, _: Any
    ) -> None:
        context.idp_started = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, text: str, _values: Any, context: Any, _: Any) -> None:
        look(context, text)

    @event.listens_for(engine, "handle_error")
    def fail(failure: ExceptionContext) -> None:
        count_failure(counts, failure.original_exception)
        look(failure.execution_context, failure.statement or "")

    def look(context: Any, text: str) -> None:
        started = getattr(context, "idp_started", None)
        if started is not None and (seconds := time.perf_counter() - started) >= slow_seconds:
            log_slow("threads", text, seconds)

    if isinstance(engine.pool, QueuePool) and engine.dialect.name != "sqlite":

        def report(counted: Counts) -> None:
            pool = engine.pool
            assert isinstance(pool, QueuePool)  # noqa: S101 - one that replaces it is of its class
            counted.set(DB_CONNECTIONS, pool.checkedin(), "threads", "idle")
            counted.set(DB_CONNECTIONS, pool.checkedout(), "threads", "busy")

        counts.sources.append(report)


def pool_class(counts: Counts) -> type[QueuePool]:
    """Return a class of pools that measure how long a thread waits for a connection."""

    class MeasuredPool(QueuePool):
        """A pool whose waits are counted."""

        __module__ = QueuePool.__module__  # its logger is named so, and is as quiet as theirs

        def connect(self) -> PoolProxiedConnection:
            """Return a connection."""
            started = time.perf_counter()
            try:
                return super().connect()
            except PoolTimeoutError:
                counts.add(DB_ERRORS, "timeout")
                raise
            finally:
                seconds = time.perf_counter() - started
                if seconds >= WAITED_SECONDS:
                    counts.observe(DB_WAIT_SECONDS, seconds, "threads")

    return MeasuredPool


def count_failure(counts: Counts, error: BaseException) -> None:
    """Count a failure that says nothing about the statement; what a statement violates is none."""
    kind = kind_of(error)
    if kind is not None:
        counts.add(DB_ERRORS, kind)


def kind_of(error: BaseException) -> str | None:
    """Return what kind of failure an error of a driver is; None: of the statement itself."""
    if isinstance(error, TimeoutError) or getattr(error, "is_timeout", False):
        return "timeout"
    if isinstance(error, sqlite3.Error):
        return next((kind for text, kind in _KINDS_OF_SQLITE.items() if text in str(error)), None)
    state: str | None = getattr(error, "sqlstate", None)
    if state is not None:
        return _KINDS.get(state) or _KINDS_OF_CLASSES.get(state[:2])
    is_lost = isinstance(error, OSError) or type(error).__name__ in _WITHOUT_STATE
    return "lost" if is_lost else None


def log_slow(where: str, statement: str, seconds: float) -> None:
    """Log a slow statement; its values stay out, since they may be secret."""
    text = " ".join(statement.split())[:LONGEST]
    log.warning("statement_slow", where=where, seconds=round(seconds, 3), statement=text)
