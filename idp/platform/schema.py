"""Bringing a database to the tables of this release, and comparing the two."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, event
from sqlalchemy.exc import OperationalError

from idp import private_files
from idp.platform import connections, revisions, steps
from idp.platform.db import Base, copy_online
from idp.platform.errors import Conflict
from idp.platform.revisions import Standing
from idp.platform.steps import Step
from idp.platform.tables import load_models

LOCK_SECONDS = 3.0
"""How long a migration waits for a table: whoever uses the table next waits behind it."""
TRIES = 20
PAUSE_SECONDS = 2.0
"""Between two tries; those who waited behind the migration are served meanwhile."""
TURN_SECONDS = 0.2

_LOCK = 0x6964_7000
"""Number of the PostgreSQL advisory lock under which one node migrates."""
_PASSING = frozenset({"55P03", "40P01"})
"""A lock that was not available, and a deadlock."""

Choice = Callable[[Connection, Sequence[Step]], Sequence[Step]]
"""Selects those of the pending steps that are run, or raises."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did."""

    steps: Sequence[Step] = ()
    copy: Path | None = None
    """Where the SQLite database of before was copied to."""


def everything(_connection: Connection, pending: Sequence[Step]) -> Sequence[Step]:
    """Select every pending step."""
    return pending


def upgrade(database_url: str, choose: Choice = everything) -> Upgraded:
    """Make or update the tables and return what was done.

    A second node waits and then finds nothing to do. A newer database that fits stays as it is.
    """
    standing = revisions.standing(database_url)
    if standing is Standing.NEWER:
        revisions.check(database_url)
    if standing is Standing.FITTING:
        return Upgraded()
    with _migrating(database_url) as (engine, config, still_alone):
        with engine.connect() as connection:
            at = steps.number_of(revisions.revision_of(connection))
            chosen = choose(connection, steps.chain()[at:])
        if engine.dialect.name == "sqlite":
            is_risky = at > 0 and any(step.is_contract for step in chosen)
            copy = copy_file(engine, chosen[0]) if is_risky else None
            if chosen:
                _run(engine, config, chosen[-1])
            return Upgraded(chosen, copy)
        for step in chosen:
            still_alone()
            _run_patiently(engine, config, step)
    return Upgraded(chosen)


def downgrade(database_url: str, revision: str) -> None:
    """Go back to an earlier revision, or to `base`: no tables."""
    with _migrating(database_url) as (engine, config, _), engine.connect() as connection:
        config.attributes["connection"] = connection
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
        with warnings.catch_warnings():
            # SQLite tells nothing about these, so they are compared on PostgreSQL alone.
            warnings.filterwarnings("ignore", message=".*expression-based index")
            return [repr(difference) for difference in compare_metadata(context, Base.metadata)]


def configuration() -> Config:
    """Make Alembic's configuration for the migrations of this installation."""
    folder = steps.folder()
    config = Config(folder / "alembic.ini")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def copy_file(engine: Engine, step: Step) -> Path:
    """Copy a SQLite database beside its file, before a step that cannot be undone."""
    source = Path(engine.url.database or "")
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = source.with_name(f"{source.name}.before-{step.revision}-{moment}")
    draft = target.with_name(f"{target.name}.part")
    private_files.make_file(draft)
    copy_online(engine, draft)
    return draft.rename(target)


@contextmanager
def _migrating(database_url: str) -> Iterator[tuple[Engine, Config, Callable[[], None]]]:
    """Keep other nodes from migrating; the function that is returned fails when this was lost."""
    load_models()
    with _engine(database_url) as engine:
        event.listen(engine, "begin", _limit)
        # SQLite needs no lock of ours: BEGIN IMMEDIATE locks the file.
        if engine.dialect.name == "sqlite":
            yield engine, configuration(), lambda: None
            return
        # Without snapshots between its statements, for which an index that is made concurrently
        # would wait. For the same reason the lock is asked for again and again.
        options = {"isolation_level": "READ COMMITTED"}
        with engine.connect().execution_options(**options) as holder, holder.begin():
            holder.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            question = f"SELECT pg_try_advisory_xact_lock({_LOCK})"
            while not holder.exec_driver_sql(question).scalar():
                time.sleep(TURN_SECONDS)
            yield engine, configuration(), lambda: holder.exec_driver_sql("SELECT 1").close()


def _run(engine: Engine, config: Config, step: Step) -> None:
    """Run all steps up to this one, in one transaction."""
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, step.revision)


def _run_patiently(engine: Engine, config: Config, step: Step) -> None:
    for _ in range(TRIES):
        try:
            _run(engine, config, step)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in _PASSING:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
    raise Conflict(
        f"Migration {step.revision} waited {TRIES} times for a table that a long transaction uses:"
        " run `idp setup` again; what was done before stays."
    )


def _limit(connection: Connection) -> None:
    """Wait briefly for locks, and without a limit for one's own work."""
    if connection.dialect.name == "postgresql":
        milliseconds = int(LOCK_SECONDS * 1000)
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


@contextmanager
def _engine(database_url: str) -> Iterator[Engine]:
    engine = connections.engine(database_url, role="setup", poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()
