"""The runtime of a process: what commands, workers and the web application have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, make_url

from idp.config import Settings
from idp.platform import connections, statements, tracing
from idp.platform.documents import CONCURRENT, Documents
from idp.platform.fetch import Fetcher
from idp.platform.metrics.counts import Counts
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring
from idp.platform.tables import load_models
from idp.platform.throttle import Throttle
from idp.platform.tracing import queries

THREADS = 8
"""Requests that one worker process answers at a time; the connection pool follows."""


def create(settings: Settings, *, role: str = "command", seconds: float | None = None) -> Runtime:
    """Return a new runtime; the engine opens no connection yet.

    PostgreSQL shows its sessions under the role. Without an answer within so many seconds they are
    closed; None: never.
    """
    load_models()
    counts = Counts()
    engine = _create_engine(settings, role, seconds, counts)
    tracer = tracing.create(settings, role)
    if tracer is not None:
        queries.watch(engine)
    throttle = Throttle(settings.redis_url, counts)
    strangers = Fetcher(settings.fetch_allow, concurrent=CONCURRENT)
    return Runtime(
        settings=settings,
        engine=engine,
        keyring=Keyring(settings.secret_keys),
        throttle=throttle,
        fetcher=Fetcher(settings.fetch_allow),
        documents=Documents(strangers, throttle, settings.fetch_strangers_per_minute),
        counts=counts,
        tracer=tracer,
    )


def _create_engine(settings: Settings, role: str, seconds: float | None, counts: Counts) -> Engine:
    # Statements with their values would end up in logged traces.
    options: dict[str, Any] = {"hide_parameters": True}
    url = _database_url(settings)
    if url.get_backend_name() != "sqlite":
        # One connection per thread and a few for those that open a second session. A connection
        # that was cut while it was idle is not used (`connections.threads`); one that dies under a
        # request costs a 503. Nothing is asked before every use.
        options |= {"pool_size": THREADS + 2, "max_overflow": 4}
        options["poolclass"] = statements.pool_class(counts)
        options["pool_timeout"] = connections.THREAD_SECONDS
    engine = connections.engine(
        url, role=role, prepare=settings.database_prepare, seconds=seconds, **options
    )
    statements.watch(engine, counts, settings.slow_seconds)
    return engine


def _database_url(settings: Settings) -> URL:
    """Return the address with a SQLite path made absolute, whatever folder is entered later."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
        url = url.set(database=str(Path(str(url.database)).absolute()))
    return url
