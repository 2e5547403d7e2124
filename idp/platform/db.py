"""The database: declarative base, column types, engine and sessions."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar, cast

import sqlalchemy
from sqlalchemy import (
    ARRAY,
    CTE,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    CursorResult,
    DateTime,
    Delete,
    Dialect,
    Engine,
    Executable,
    ForeignKey,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Pool,
    String,
    Table,
    Text,
    TypeDecorator,
    Update,
    bindparam,
    event,
    func,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import (
    DeclarativeBase,
    InstrumentedAttribute,
    Mapped,
    Session,
    SessionTransaction,
    UOWTransaction,
    mapped_column,
)

from idp import private_files
from idp.platform.changes import note_change, note_configuration

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
        """Return aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = Annotated[int, mapped_column(BigInt, primary_key=True)]
Name = Annotated[str, mapped_column(String(200))]
Digest = Annotated[bytes, mapped_column(LargeBinary(32))]


_QUIET: set[str] = set()
"""Names of the tables that do not concern tokens."""

_NEWEST: dict[str, Sequence[str]] = {}
"""Unique columns of the tables whose newest rows count, by the name of the table."""

_ONCE: set[str] = set()
"""Names of the tables of what happens once."""


class RepeatedError(Exception):
    """What happens once was there already; nothing was written."""


class Base(DeclarativeBase):
    """Base of every table.

    `configuration = True` marks tables that workers cache. `concerns_tokens = False` marks those
    whose rows have no part in the validity or the content of tokens, so that writing there makes no
    worker forget what it has read of tokens. `happens_once = True` marks those whose rows stand for
    what happens once: an `AtomicWrite` raises RepeatedError when its row is there already.
    `newest_of` names unique columns: an `AtomicWrite` puts its row in the place of one that has the
    same values of them.
    """

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
    concerns_tokens = True
    happens_once = False
    newest_of: Sequence[str] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Keep SQLite from giving the id of a deleted row away again."""
        super().__init_subclass__(**options)
        table = cast("Table", cls.__table__)
        if [column.name for column in table.primary_key] == ["id"]:
            table.dialect_options["sqlite"]["autoincrement"] = True
        if not cls.concerns_tokens:
            _QUIET.add(table.name)
        if cls.happens_once:
            _ONCE.add(table.name)
        if cls.newest_of:
            _NEWEST[table.name] = cls.newest_of


def reference(target: str, *, ondelete: str = "CASCADE", **options: Any) -> Mapped[Any]:
    """Make an indexed foreign key column to `table.column`."""
    return mapped_column(BigInt, ForeignKey(target, ondelete=ondelete), index=True, **options)


def insert(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT that may say `on_conflict_do_nothing` or `on_conflict_do_update`."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)


def new_row(table: type[Base], *columns: str) -> Insert:
    """Make the INSERT of one row for hot paths: no object, its values are handed in at execution.

    Column defaults of Python are applied, unless columns are named: inside a WITH nothing would
    apply them. The new id is not returned.
    """
    statement = sqlalchemy.insert(cast("Table", table.__table__)).inline()
    if not columns:
        return statement
    kinds = table.__table__.c
    return statement.values({name: bindparam(name, type_=kinds[name].type) for name in columns})


def first_row(table: type[Base], *columns: str) -> Mapping[str, Executable]:
    """Make the INSERT of a row that is there once, by the name of the database's dialect.

    Its id is returned, or nothing where the row was there already.
    """
    kinds = table.__table__.c
    values = {name: bindparam(name, type_=kinds[name].type) for name in columns}
    return {
        name: make(table).values(values).on_conflict_do_nothing().returning(kinds.id)
        for name, make in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
    }


Query = Executable
"""A query of a hot path, made once: making a statement costs more than executing it."""


def run(session: Session, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
    """Return the rows of a query of a hot path, read past the session's object layer."""
    session.flush()
    return session.connection().execute(query, values).all()


def write(session: Session, statement: Executable, values: Mapping[str, Any]) -> None:
    """Execute a change of a hot path in the session's transaction, past its object layer."""
    session.connection().execute(statement, values)


def use(table: type[Base]) -> Update:
    """Make the statement that marks the row `row_id` as used at `now`, once and never again."""
    columns = table.__table__.c
    return (
        update(cast("Table", table.__table__))
        .where(columns.id == bindparam("row_id"), columns.used_at.is_(None))
        .values(used_at=bindparam("now"))
    )


OfFirst = Callable[[Any], ColumnElement[Any]]
"""Makes the value of a column out of what is known of the row that was changed first.

That is its `id`, and what was `found` with it, named `table_column`.
"""


class AtomicWrite:
    """A change of one row, and new rows that are there only if it hit: all of it or nothing.

    PostgreSQL does it in one round trip, by one statement with common table expressions. SQLite
    knows no such statement; there they follow each other in the session's transaction.
    """

    def __init__(
        self,
        first: Insert | Update,
        *rows: type[Base],
        found: Sequence[InstrumentedAttribute[Any]] = (),
        **of_first: OfFirst,
    ) -> None:
        """Take the change, the tables that get a row each, and columns that follow from the change.

        The change reads its own bind parameters; a new row reads its values as `table__column`
        of what is handed in, where Python's column defaults stand in for what is not.

        `found`: columns, of other tables too, that are returned with the id. PostgreSQL only.
        """
        self._given = first, rows, found, of_first
        self._with: dict[type[Base], AtomicWrite] = {}
        (key,) = cast("Table", first.table).primary_key
        met = [column.label(f"{column.class_.__tablename__}_{column.key}") for column in found]
        self._first = first.returning(key.label("id"), *met)
        self._tables = [cast("Table", row.__table__) for row in rows]
        self._of_first = of_first
        self._defaults = {
            _named(column): column.default
            for table in self._tables
            for column in table.columns
            if column is not table.autoincrement_column and column.name not in of_first
        }
        changed = self._first.cte("changed")
        added = [self._added(table, changed).cte(f"new_{table.name}") for table in self._tables]
        self.statement = select(*changed.c).add_cte(*added)
        """The whole change as one statement of PostgreSQL; it returns the id, or no row."""
        self._steps = []
        if not found:
            known = SimpleNamespace(id=bindparam("first_id", type_=BigInt))
            self._steps = [
                _in_place(sqlite.insert(table).values(self._values(table, known)).inline())
                for table in self._tables
            ]

    def also(self, row: type[Base]) -> AtomicWrite:
        """Return the same change with a row of one more table; it is made once."""
        made = self._with.get(row)
        if made is None:
            first, rows, found, of_first = self._given
            made = self._with[row] = AtomicWrite(first, *rows, row, found=found, **of_first)
        return made

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values with Python's column defaults for what is not there."""
        given = dict(values)
        for name, default in self._defaults.items():
            if name not in given:
                given[name] = _made(default)
        return given

    def run(self, session: Session, values: Mapping[str, Any]) -> int | None:
        """Do it and return the id of the row that was changed; None: nothing was done at all.

        RepeatedError leaves a session that can only be rolled back.
        """
        given = self.complete(values)
        try:
            if session.get_bind().dialect.name == "postgresql":
                rows = self._run_at_once(session, given)
            else:
                rows = self._run_in_steps(session, given)
        except IntegrityError as error:
            _name_repeated(error)
            raise
        return int(rows[0][0]) if rows else None

    def _run_in_steps(self, session: Session, given: dict[str, Any]) -> Sequence[Any]:
        rows = session.connection().execute(self._first, _own(self._first, given)).all()
        for step in self._steps if rows else ():
            given["first_id"] = rows[0][0]
            session.connection().execute(step, _own(step, given))
        return rows

    def run_and_read(self, session: Session, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Do it and return what was found; None: nothing was done, as always with SQLite."""
        if session.get_bind().dialect.name != "postgresql":
            return None
        try:
            rows = self._run_at_once(session, self.complete(values))
        except IntegrityError as error:
            _name_repeated(error)
            raise
        return rows[0][1:] if rows else None

    def _run_at_once(self, session: Session, given: Mapping[str, Any]) -> Sequence[Any]:
        connection = session.connection()
        connection.info[_WROTE] = True  # it looks like a query
        return connection.execute(self.statement, given).all()

    def _added(self, table: Table, changed: CTE) -> Insert:
        """Insert a row for the one that was changed, if it was."""
        values = self._values(table, changed.c)
        # Without the cast PostgreSQL takes a value for text here.
        typed = (sqlalchemy.cast(value, table.c[name].type) for name, value in values.items())
        row = select(*typed).select_from(changed)
        return _in_place(
            postgresql.insert(table).from_select(list(values), row, include_defaults=False)
        )

    def _values(self, table: Table, first: Any) -> dict[str, ColumnElement[Any]]:
        return {
            column.name: self._of_first[column.name](first)
            if column.name in self._of_first
            else bindparam(_named(column), type_=column.type)
            for column in table.columns
            if column is not table.autoincrement_column
        }


class OnceWrite(AtomicWrite):
    """A new row of what happens once, alone: rows of several requests may be written together."""

    def __init__(
        self, key: InstrumentedAttribute[Any], *others: InstrumentedAttribute[Any]
    ) -> None:
        """Take the column that tells whether it happened before, and the other ones."""
        table, self.key = cast("type[Base]", key.class_), key.key
        self.columns = [column.key for column in (key, *others)]
        super().__init__(new_row(table, *self.columns))
        arrays = [bindparam(column.key, type_=ARRAY(column.type)) for column in (key, *others)]
        rows = func.unnest(*arrays).table_valued(*self.columns).render_derived()
        added = (
            postgresql.insert(table)
            .from_select(self.columns, select(rows), include_defaults=False)
            .on_conflict_do_nothing()
            .returning(key)
            .cte("added")
        )
        self.together = select(*added.c)
        """Many rows as one statement of PostgreSQL, an array for each column; it returns the keys
        of those that are new."""


Upsert = TypeVar("Upsert", postgresql.Insert, sqlite.Insert)


def _in_place(statement: Upsert) -> Upsert:
    """Put a new row in the place of an older one, in tables whose newest rows count."""
    key: Sequence[str] | None = _NEWEST.get(statement.table.name)
    if key is None:
        return statement
    kept = {"id"} | set(key)
    new = {column.name: column for column in statement.excluded if column.name not in kept}
    return statement.on_conflict_do_update(index_elements=key, set_=new)


def repeated(table: str | None) -> RepeatedError | None:
    """Return what a row is refused with that is in a table already; None: an error of ours."""
    return RepeatedError(table) if table in _ONCE else None


def _name_repeated(error: IntegrityError) -> None:
    """Raise RepeatedError where that is what went wrong."""
    found = _UNIQUE.match(str(error.orig))
    table = found[1] if found is not None else None
    if getattr(error.orig, "sqlstate", None) == _UNIQUE_VIOLATION:
        table = getattr(error.orig, "diag").table_name  # noqa: B009 - of psycopg, not of DB-API
    repetition = repeated(table)
    if repetition is not None:
        raise repetition from error


_UNIQUE_VIOLATION = "23505"
_UNIQUE = re.compile(r"UNIQUE constraint failed: (\w+)\.")


def _own(statement: Insert | Update, given: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what a statement reads; it takes the rest for columns that it does not know."""
    return {name: given[name] for name in _names(statement) if name in given}


@cache
def _names(statement: Insert | Update) -> tuple[str, ...]:
    return tuple(statement.compile().params)


def _named(column: Column[Any]) -> str:
    return f"{column.table.name}__{column.name}"


def _made(default: Any) -> Any:
    """Return the value of a Python column default."""
    if default is None:
        return None
    return default.arg(None) if default.is_callable else default.arg


def count_hits(session: Session, statement: Update | Delete) -> int:
    """Execute a conditional change and count its rows; none: another was faster."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def count_up_to(
    session: Session, column: InstrumentedAttribute[int], values: Collection[int], most: int
) -> dict[int, int]:
    """Return how many rows have each value of a column, at most so many: one statement.

    An index over the column is read no further, so it takes no longer where there are more rows.
    """
    if not values:
        return {}
    parts = []
    for value in values:
        rows = select(column).where(column == value).limit(most).subquery()
        parts.append(select(literal(value), func.count()).select_from(rows))
    return dict(session.execute(union_all(*parts)).all())


def end(session: Session) -> None:
    """End a transaction that was not committed: one that only read by COMMIT, others by ROLLBACK.

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


def release(session: Session) -> None:
    """End a transaction that only read, before something outside the database is waited for.

    One that wrote stays as it is.
    """
    if not session.in_transaction() or session.new or session.dirty or session.deleted:
        return
    if not session.connection().info.get(_WROTE):
        session.commit()


class ConfigurationVersion(Base):
    """One row, raised by every change of a cached table; workers poll it (see `cache`)."""

    __tablename__ = "configuration_version"

    id: Mapped[Id]
    version: Mapped[int] = mapped_column(default=1)


def bump_configuration(session: Session) -> None:
    """Announce to every worker, at the commit, that cached configuration changed."""
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


_making = threading.Lock()


@event.listens_for(Engine, "do_connect")
def _keep_private(dialect: Dialect, _record: Any, arguments: Any, _named: Any) -> None:
    """Make the file of a database for ourselves alone; its journals get the mode of the file."""
    if dialect.name != "sqlite" or arguments[0] == ":memory:" or arguments[0].startswith("file:"):
        return
    path = Path(arguments[0])
    try:
        with _making:
            private_files.make_folder(path.parent)
            private_files.make_file(path)
            for journal in ("-wal", "-shm"):
                private_files.close_file(path.with_name(path.name + journal))
    except OSError as error:
        message = f"{path}: {os.strerror(error.errno or 0)}"
        raise sqlite3.OperationalError(message) from None


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


def copy_online(engine: Engine, target: Path) -> None:
    """Copy a SQLite database to an empty file as one transaction sees it; others go on writing."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("VACUUM INTO ?", (str(target),))


_WROTE = "idp.wrote"
_CHANGED = "idp.changed"
_CONFIGURED = "idp.configured"


@event.listens_for(Engine, "before_cursor_execute")
def _note_writing(
    connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: Any
) -> None:
    compiled = context.compiled
    if compiled is not None and compiled.statement.is_select:
        return
    connection.info[_WROTE] = True
    if compiled is None:  # SQLite is told BEGIN so
        return
    table = getattr(compiled.statement, "table", None)
    if table is None or table.name not in _QUIET:
        connection.info[_CHANGED] = True
    if table is not None and table.name == ConfigurationVersion.__tablename__:
        connection.info[_CONFIGURED] = True


@event.listens_for(Pool, "checkin")
def _announce_change(_connection: Any, record: Any) -> None:
    # The transaction is over by now: what is read from here on is what it left.
    if record.info.pop(_CHANGED, False):
        note_change()
    if record.info.pop(_CONFIGURED, False):
        note_configuration()


@event.listens_for(Engine, "begin")
def _begin(connection: Any) -> None:
    # A reader that turns writer fails at once under SQLite; taking the lock first waits instead.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.info[_WROTE] = False
