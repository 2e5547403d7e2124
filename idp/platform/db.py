"""The database: declarative base, column types, engine and sessions."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import sqlalchemy
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    CursorResult,
    DateTime,
    Delete,
    Dialect,
    Engine,
    Executable,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    Update,
    event,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    SessionTransaction,
    UOWTransaction,
    mapped_column,
)

BigInt = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, aware and in UTC on both sides; SQLite keeps it without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; hand UTC to the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "naive datetime"
            raise ValueError(message)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy hands it in
    ) -> datetime | None:
        """Give aware UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = Annotated[int, mapped_column(BigInt, primary_key=True)]
Name = Annotated[str, mapped_column(String(200))]
Digest = Annotated[bytes, mapped_column(LargeBinary(32))]


class Base(DeclarativeBase):
    """Base of every table. `configuration = True` marks tables that workers cache."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own class attribute
        datetime: UtcDateTime,
        int: BigInt,
        str: Text,
        bytes: LargeBinary,
        dict[str, Any]: Json,
        list[str]: Json,
    }
    configuration = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Keep SQLite from giving the id of a deleted row away again."""
        super().__init_subclass__(**options)
        table = cast("Table", cls.__table__)
        if [column.name for column in table.primary_key] == ["id"]:
            table.dialect_options["sqlite"]["autoincrement"] = True


def reference(target: str, *, ondelete: str = "CASCADE", **options: Any) -> Mapped[Any]:
    """Make an indexed foreign key column to `table.column`."""
    return mapped_column(BigInt, ForeignKey(target, ondelete=ondelete), index=True, **options)


def insert(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT that may say `on_conflict_do_nothing` or `on_conflict_do_update`."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)


def new_row(table: type[Base]) -> sqlalchemy.Insert:
    """Make the INSERT of one row for hot paths: no object, its values are handed in at execution.

    Column defaults of Python are applied; the new id is not asked for.
    """
    return sqlalchemy.insert(cast("Table", table.__table__)).inline()


def run(session: Session, statement: Executable, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Execute a statement of a hot path in the session's transaction, past its object layer.

    What was added to the session and not flushed is not seen.
    """
    return session.connection().execute(statement, values)


def count_hits(session: Session, statement: Update | Delete) -> int:
    """Execute a conditional change and count its rows; none: somebody else was faster."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def end(session: Session) -> None:
    """End a transaction that nobody committed: one that only read by COMMIT, others by ROLLBACK.

    The driver throws its prepared statements away at every ROLLBACK, and planning a statement
    anew costs more than executing it.
    """
    if not session.in_transaction():  # closing one that was never used costs the same
        return
    with contextlib.suppress(SQLAlchemyError):  # it failed already, or the database went away
        if not session.connection().info.get(_WROTE):
            session.expunge_all()  # what was added and never flushed must not be written now
            session.commit()
    session.close()


class ConfigurationVersion(Base):
    """One row, raised by every change of a cached table; workers poll it (see `cache`)."""

    __tablename__ = "configuration_version"

    id: Mapped[Id]
    version: Mapped[int] = mapped_column(default=1)


db = SQLAlchemy(metadata=Base.metadata)


def bump_configuration(session: Session) -> None:
    """Tell every worker that cached configuration changed, when this transaction commits."""
    connection = session.connection()  # begins the transaction that is asked for below
    if session.info.get("bumped") is not session.get_transaction():
        connection.execute(
            update(ConfigurationVersion).values(version=ConfigurationVersion.version + 1)
        )
        session.info["bumped"] = session.get_transaction()


def has_changed_configuration(session: Session) -> bool:
    """Whether the transaction under way changed a cached table."""
    return session.info.get("bumped") is not None


@event.listens_for(Session, "after_flush")
def _bump_on_change(session: Session, _context: UOWTransaction) -> None:
    # Dirty is also what was set to the value that it had.
    dirty = (row for row in session.dirty if session.is_modified(row))
    changed = (*session.new, *dirty, *session.deleted)
    if any(getattr(type(row), "configuration", False) for row in changed):
        bump_configuration(session)


@event.listens_for(Session, "after_transaction_end")
def _forget_cached(session: Session, transaction: SessionTransaction) -> None:
    # Committed: this worker sees its own change at once. Rolled back: what was read from the
    # change must not stay, and a rolled-back savepoint took the new version number with it.
    if (transaction.nested or transaction.parent is None) and session.info.pop("bumped", None):
        runtime = session.info.get("runtime")
        if runtime is not None:
            runtime.cache.clear()


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "busy_timeout=15000",
        ):
            connection.execute(f"PRAGMA {pragma}")


_WROTE = "idp.wrote"


@event.listens_for(Engine, "before_cursor_execute")
def _note_writing(
    connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: Any
) -> None:
    compiled = context.compiled
    if compiled is None or not compiled.statement.is_select:
        connection.info[_WROTE] = True


@event.listens_for(Engine, "begin")
def _begin(connection: Any) -> None:
    # A reader that turns writer fails at once under SQLite; taking the lock first waits instead.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.info[_WROTE] = False
