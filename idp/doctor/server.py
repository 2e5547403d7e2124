"""Checks of the PostgreSQL server behind an installation."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.doctor.result import Result, failed, ok, warning
from idp.doctor.storage import unknown
from idp.platform import revisions
from idp.platform.db import Base
from idp.platform.releases.service import running
from idp.platform.revisions import Standing
from idp.platform.tables import load_models

OLDEST_VERSION = 15
PER_WORKER = 22
"""Connections that a worker process of `idp serve` opens at most."""
BESIDE = 10
"""Connections for the outbox worker, metrics and commands of a node."""
FULL = 0.8
SHORTEST_LIMIT_MS = 60_000
"""Jobs and the clean-up may take so long for a statement."""
WRAPAROUND_WARNING = 1_000_000_000
WRAPAROUND_FAILED = 1_800_000_000
DEAD_ROWS = 1_000_000

_LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
_MILLISECONDS = text("SELECT setting::bigint FROM pg_settings WHERE name = :name")
_REFUSES_WRITES = text(
    "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
)
_NUMBER = text("SELECT current_setting('server_version_num')::int")
_ROOM = text(
    "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
)
_INVALID = text(
    "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE NOT i.indisvalid AND n.nspname = current_schema() ORDER BY c.relname"
)
_NAMES = {
    "postgresql": text("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"),
    "sqlite": text("SELECT name FROM sqlite_master WHERE type = 'index'"),
}
_AGE = text("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()")
_DEAD = text(
    "SELECT relname FROM pg_stat_user_tables"
    " WHERE n_dead_tup > :most AND n_dead_tup > n_live_tup ORDER BY n_dead_tup DESC"
)


def version(settings: Settings) -> Result:
    """Check the version of the server, and that it accepts changes."""
    return _look(settings, _version)


def limits(settings: Settings) -> Result:
    """Find limits of the server that end what takes its time."""
    return _look(settings, _limits)


def connections(settings: Settings) -> Result:
    """Compare the connections that the nodes may open with those that the server admits."""
    return _look(settings, _connections)


def upkeep(settings: Settings) -> Result:
    """Look for work that autovacuum does not keep up with."""
    return _look(settings, _upkeep)


def indexes(settings: Settings) -> Result:
    """Find indexes that are missing, or that an interrupted migration left unusable."""
    load_models()
    try:
        standing = revisions.standing(settings.database)
        if standing is Standing.FITTING:
            return ok("the indexes of a newer release are not known here")
        if standing is not Standing.CURRENT:
            return unknown()
        with revisions.looking(settings.database) as connection:
            return _indexes(connection)
    except SQLAlchemyError:
        return unknown()


def _look(settings: Settings, examine: Callable[[Connection], Result]) -> Result:
    if settings.database.startswith("sqlite"):
        return ok("SQLite has no server")
    try:
        with revisions.looking(settings.database) as connection:
            return examine(connection)
    except SQLAlchemyError:
        return unknown()


def _version(connection: Connection) -> Result:
    found = connection.scalar(_NUMBER) // 10_000
    if found < OLDEST_VERSION:
        return failed(
            f"PostgreSQL {found} is too old", f"upgrade it to version {OLDEST_VERSION} or later"
        )
    if connection.scalar(_REFUSES_WRITES):
        return failed(
            "the server refuses changes: it is a standby, or default_transaction_read_only is set",
            "name the primary, or all hosts, in IDP_DATABASE_URL",
        )
    return ok(f"PostgreSQL {found} accepts changes")


def _limits(connection: Connection) -> Result:
    found = {name: connection.scalar(_MILLISECONDS, {"name": name}) or 0 for name in _LIMITS}
    short = [name for name, limit in found.items() if 0 < limit < SHORTEST_LIMIT_MS]
    if short:
        return warning(
            "jobs and migrations may be cut off by "
            + " and ".join(f"{name} = {found[name] / 1000:g}s" for name in short),
            "set it to 60 s or more, or to 0, for the role of idp (ALTER ROLE … SET)",
        )
    return ok(", ".join(f"{name} = {limit / 1000:g}s" for name, limit in found.items()))


def _connections(connection: Connection) -> Result:
    room, used = connection.execute(_ROOM).one()
    nodes = _nodes(connection) or 1
    workers = max(0, room // nodes - BESIDE) // PER_WORKER
    seen = (
        f"PostgreSQL admits {room} connections, {used} are open; that is enough for {workers}"
        f" worker processes on each of {nodes} nodes"
    )
    todo = "raise max_connections, or run fewer workers"
    if not workers:
        return failed(seen, todo)
    return warning(seen, todo) if used > FULL * room else ok(seen)


def _nodes(connection: Connection) -> int:
    if revisions.standing_of(connection) not in revisions.USABLE:
        return 0
    with Session(connection) as session:
        return len(running(session))


def _indexes(connection: Connection) -> Result:
    dialect = connection.dialect.name
    if dialect == "postgresql" and (invalid := connection.scalars(_INVALID).all()):
        return failed(
            f"indexes that were not finished and are not used: {', '.join(invalid)}",
            "drop each (DROP INDEX CONCURRENTLY) and create it again (REINDEX INDEX CONCURRENTLY)",
        )
    present = set(connection.scalars(_NAMES[dialect]))
    declared = {index.name for table in Base.metadata.tables.values() for index in table.indexes}
    missing = sorted(name for name in declared - present if name is not None)
    if missing:
        return warning(
            f"indexes that are missing: {', '.join(missing)}",
            "create them as the migrations in idp/_migrations do",
        )
    return ok(f"all {len(declared)} indexes are there")


def _upkeep(connection: Connection) -> Result:
    age = connection.scalar(_AGE) or 0
    seen = f"the oldest transaction is {age:,} behind of two billion"
    todo = "check that autovacuum runs and that no transaction or replication slot holds it up"
    if age > WRAPAROUND_FAILED:
        return failed(seen, todo)
    if age > WRAPAROUND_WARNING:
        return warning(seen, todo)
    dead = connection.scalars(_DEAD, {"most": DEAD_ROWS}).all()
    if dead:
        return warning(f"tables with more dead rows than others: {', '.join(dead)}", todo)
    return ok(seen)
