"""Which release a database was set up by; asked at every start, so without loading Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, NullPool, inspect, make_url, text

from idp.platform import connections, steps
from idp.platform.errors import Conflict

LOOK_SECONDS = 5.0

_IDENTITY = text(
    "SELECT oid, datname, pg_postmaster_start_time() FROM pg_database"
    " WHERE datname = current_database()"
)


class Standing(Enum):
    """How a database and this release stand to each other, and what to do about it."""

    CURRENT = ("is set up for this release", "")
    EMPTY = ("is not set up", "run `idp setup`")
    OLDER = ("is set up for an older release", "make a backup and run `idp setup`")
    FITTING = ("was set up by a newer release of idp and fits this one", "")
    NEWER = (
        "was set up by a newer release of idp",
        "run that release, or restore the backup that was made before",
    )


USABLE = frozenset({Standing.CURRENT, Standing.FITTING})


def check(database_url: str) -> None:
    """Refuse a database that this release cannot work with."""
    found = standing(database_url)
    if found not in USABLE:
        seen, todo = found.value
        raise Conflict(f"{name(database_url)} {seen}: {todo}.")


def name(database_url: str) -> str:
    """Name a database for people, without its password."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return f"The database {url.database}"
    return f"The database {url.database or ''} at {url.host or url.query.get('host', 'this host')}"


def standing(database_url: str) -> Standing:
    """Compare a database with this release; a file that is not there is not made."""
    if is_away(database_url):
        return Standing.EMPTY
    with looking(database_url) as connection:
        return standing_of(connection)


def is_away(database_url: str) -> bool:
    """Return whether the database is a file of SQLite that does not exist."""
    url = make_url(database_url)
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


@contextmanager
def looking(database_url: str) -> Iterator[Connection]:
    """Open one connection for a look; a host that does not answer is not waited for long."""
    engine = connections.engine(
        database_url, seconds=LOOK_SECONDS, poolclass=NullPool, hide_parameters=True
    )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def are_same(one: str, other: str) -> bool:
    """Return whether two addresses lead to one database of PostgreSQL."""
    found = []
    for database_url in (one, other):
        with looking(database_url) as connection:
            found.append(connection.execute(_IDENTITY).one())
    return found[0] == found[1]


def standing_of(connection: Connection) -> Standing:
    """Compare the database of a connection with this release."""
    found = revision_of(connection)
    if found is None:
        return Standing.EMPTY
    number = steps.number_of(found)
    if not number:
        return Standing.FITTING if _fits(connection) else Standing.NEWER
    is_older = any(not step.is_contract for step in steps.chain()[number:])
    return Standing.OLDER if is_older else Standing.CURRENT


def revision_of(connection: Connection) -> str | None:
    """Return the revision that a database is at; None: it is not set up."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def release_of(connection: Connection) -> str:
    """Return the release that set the database up, as far as it is known."""
    if not inspect(connection).has_table("installation"):
        return "unknown"
    return connection.scalar(text("SELECT release FROM installation")) or "unknown"


def _fits(connection: Connection) -> bool:
    """Return whether this code fits a schema with steps that it does not know."""
    if not inspect(connection).has_table("installation"):
        return False
    row = connection.execute(text("SELECT schema_number, oldest_code FROM installation")).first()
    return row is not None and row.oldest_code <= steps.number() < row.schema_number
