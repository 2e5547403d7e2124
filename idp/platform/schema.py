"""Bringing a database to the tables of this release, and comparing the two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool

from idp.platform import connections, revisions
from idp.platform.db import Base
from idp.platform.files import migrations_dir
from idp.platform.revisions import Standing
from idp.platform.tables import load_models

_LOCK = 0x6964_7000
"""Number of the PostgreSQL advisory lock under which one node migrates."""


def upgrade(database_url: str, revision: str = "head") -> None:
    """Make or update the tables; a second node waits and then finds nothing to do."""
    if revisions.standing(database_url) is Standing.NEWER:
        revisions.check(database_url)
    with _migrating(database_url) as config:
        command.upgrade(config, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Go back to an earlier revision, or to `base`: no tables."""
    with _migrating(database_url) as config:
        command.downgrade(config, revision)


def current(database_url: str) -> str | None:
    """Name the revision that a database is at."""
    with _engine(database_url) as engine, engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """Return the newest revision that this release has."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def drift(database_url: str) -> list[str]:
    """List what models and database disagree about; empty when the migrations are complete."""
    load_models()
    with _engine(database_url) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [repr(difference) for difference in compare_metadata(context, Base.metadata)]


def configuration() -> Config:
    """Make Alembic's configuration for the migrations of this installation."""
    folder = migrations_dir()
    config = Config(folder / "alembic.ini")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def lock(connection: Connection) -> None:
    """Keep other nodes from migrating until this transaction ends."""
    # SQLite needs nothing more: BEGIN IMMEDIATE has locked the file.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


@contextmanager
def _migrating(database_url: str) -> Iterator[Config]:
    load_models()
    config = configuration()
    with _engine(database_url) as engine, engine.connect() as connection:
        config.attributes["connection"] = connection
        yield config


@contextmanager
def _engine(database_url: str) -> Iterator[Engine]:
    engine = connections.engine(database_url, role="setup", poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()
