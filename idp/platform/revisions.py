"""Which release a database was set up by; asked at every start, so without loading Alembic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, NullPool, inspect, make_url, text

from idp.platform import connections
from idp.platform.errors import Conflict
from idp.platform.files import migrations_dir

_LINE = re.compile(r'^(revision|down_revision)\b[^=\n]*= *["\']([^"\']*)', re.MULTILINE)
LOOK_SECONDS = 5.0


class Standing(Enum):
    """How a database and this release stand to each other, and what to do about it."""

    CURRENT = ("is set up for this release", "")
    EMPTY = ("is not set up", "run `idp setup`")
    OLDER = ("is set up for an older release", "make a backup and run `idp setup`")
    NEWER = (
        "was set up by a newer release of idp",
        "run that release, or restore the backup that was made before",
    )


def check(database_url: str) -> None:
    """Refuse a database that this release cannot work with."""
    found = standing(database_url)
    if found is not Standing.CURRENT:
        raise Conflict(f"{name(database_url)} {found.value[0]}: {found.value[1]}.")


def name(database_url: str) -> str:
    """Name a database for people, without its password."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return f"The database {url.database}"
    return f"The database {url.database or ''} at {url.host or url.query.get('host', 'this host')}"


def standing(database_url: str) -> Standing:
    """Compare a database with this release; a file that is not there is not made."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return Standing.EMPTY
    with looking(database_url) as connection:
        return standing_of(connection)


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


def standing_of(connection: Connection) -> Standing:
    """Compare the database of a connection with this release."""
    if not inspect(connection).has_table("alembic_version"):
        return Standing.EMPTY
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found is None:
        return Standing.EMPTY
    known, head = _revisions()
    if found not in known:
        return Standing.NEWER
    return Standing.CURRENT if found == head else Standing.OLDER


@cache
def _revisions() -> tuple[frozenset[str], str]:
    """Read the revisions that this release has, and the newest of them."""
    found: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for path in (migrations_dir() / "versions").glob("*.py"):
        for name, value in _LINE.findall(path.read_text(encoding="utf-8")):
            found[name].add(value)
    (head,) = found["revision"] - found["down_revision"]
    return frozenset(found["revision"]), head
