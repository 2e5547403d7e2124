"""One consistent copy of a database, and what is counted in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, func, inspect, select, table, text
from sqlalchemy.orm import Session

from idp import __version__, private_files
from idp.config import sqlite_url
from idp.platform import clock, connections, ids, revisions, steps
from idp.platform.db import copy_online
from idp.platform.signing import service as signing
from idp.recovery import programs
from idp.recovery.manifest import FORMAT, Manifest


@contextmanager
def taken(engine: Engine, target: Path) -> Iterator[Connection]:
    """Copy a database to a file; the connection that is returned reads the same state."""
    private_files.make_file(target)
    if engine.dialect.name == "sqlite":
        copy_online(engine, target)
        with opened(target) as connection:
            yield connection
        return
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {name} = 0")
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        programs.dump(engine, str(snapshot), target)
        yield connection


@contextmanager
def opened(path: Path) -> Iterator[Connection]:
    """Open a SQLite file that nobody else uses; no journal is left beside it."""
    engine = connections.engine(sqlite_url(path), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def describe(connection: Connection, fingerprint: str) -> Manifest:
    """Return what a manifest says about a database."""
    revision = revisions.revision_of(connection) or ""
    with Session(connection) as session:
        active = [key.kid for key in signing.list_keys(session) if key.status == "active"]
    return Manifest(
        format=FORMAT,
        made_at=clock.now(),
        release=__version__,
        schema_number=_schema_number(connection, revision),
        revision=revision,
        database=connection.dialect.name,
        root_secret=fingerprint,
        active_keys=sorted(active),
        rows=count_rows(connection),
        highest_ids=ids.highest(connection, ids.numbered(connection)),
    )


def count_rows(connection: Connection) -> dict[str, int]:
    """Return the number of rows of every table, also of those that this release does not know."""
    names = sorted(inspect(connection).get_table_names())
    count: Any = func.count()
    return {name: connection.scalar(select(count).select_from(table(name))) or 0 for name in names}


def _schema_number(connection: Connection, revision: str) -> int:
    """Return the number of the schema, which a newer release may have left."""
    number = steps.number_of(revision)
    if number or not inspect(connection).has_table("installation"):
        return number
    return connection.scalar(text("SELECT schema_number FROM installation")) or 0
