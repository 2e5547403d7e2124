"""`idp db`: moving an installation to another database."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    Table,
    bindparam,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from idp import setting_values
from idp.commands import opening, output
from idp.commands.command import Group
from idp.config import Settings
from idp.platform import connections, ids, revisions, schema, steps
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import Base
from idp.platform.errors import Conflict
from idp.platform.tables import load_models

BATCH = 1000
# The migration itself puts a row there.
_STARTS_WITH_ROWS = frozenset({"configuration_version"})
# They describe the database, and who uses it.
_OF_ITS_OWN = frozenset({"installation", "node"})


@click.group(cls=Group)
def db() -> None:
    """Move the installation to another database."""


@db.command(example="idp db copy --to postgresql://idp@db.example.com/idp")
@click.option("--to", "target", required=True, metavar="URL", help="postgresql://…")
@output.json_option
def copy(*, target: str, as_json: bool) -> None:
    """Copy everything into an empty database: ids, secrets and keys stay as they are.

    Stop the servers first. The copy needs the same IDP_SECRET_KEY.
    """
    settings = opening.load_settings()
    _check_source(settings.database)
    try:
        target = setting_values.database_url(target.strip())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None
    destination, source = (_engine(settings, url) for url in (target, settings.database))
    if source.url == destination.url:
        raise Conflict("The target is the database itself.")
    try:
        schema.upgrade(target)
        copied = copy_all(source, destination)
    finally:
        source.dispose()
        destination.dispose()
    output.show({"tables": len(copied), "rows": sum(copied.values())}, as_json=as_json)


def _check_source(url: str) -> None:
    """Refuse a database that has, or may have, rows that the models of this release do not know."""
    revisions.check(url)
    with revisions.looking(url) as connection:
        at = steps.number_of(revisions.revision_of(connection))
    if at != steps.number():
        raise Conflict(
            f"{revisions.name(url)} was set up by a newer release of idp: copy it with that one."
            if at == 0
            else f"{revisions.name(url)} is between two releases: run `idp setup --contract`."
        )


def _engine(settings: Settings, url: str) -> Engine:
    return connections.engine(url, prepare=settings.database_prepare)


def copy_all(source: Engine, target: Engine) -> dict[str, int]:
    """Copy the rows of every table in one transaction; return the number of each."""
    load_models()
    tables = [table for table in Base.metadata.sorted_tables if table.name not in _OF_ITS_OWN]
    with source.begin() as reading, target.begin() as writing:
        _isolate(reading)
        _refuse_filled(writing, tables)
        copied = {table.name: _copy(reading, writing, table) for table in tables}
        for table in tables:
            found = writing.scalar(select(func.count()).select_from(table))
            if found != copied[table.name]:
                raise Conflict(f"{table.name}: {copied[table.name]} rows read, {found} arrived.")
        _restart_ids(reading, writing)
        with Session(writing, join_transaction_mode="create_savepoint") as session:
            audit.record(session, Tag.DATABASE_COPIED, details={"count": sum(copied.values())})
            session.commit()
    return copied


def _restart_ids(reading: Connection, writing: Connection) -> None:
    """Make new ids start above every id ever assigned, of deleted rows too."""
    tables = [table for table in ids.numbered(writing) if table.name not in _OF_ITS_OWN]
    for name, number in ids.highest(reading, tables).items():
        ids.start_above(writing, Base.metadata.tables[name], number)


def _isolate(reading: Connection) -> None:
    """Read one snapshot of the source; SQLite's BEGIN IMMEDIATE does so already."""
    if reading.dialect.name == "postgresql":
        reading.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _refuse_filled(writing: Connection, tables: list[Table]) -> None:
    for table in tables:
        if table.name in _STARTS_WITH_ROWS:
            writing.execute(table.delete())
        elif writing.execute(select(table).limit(1)).first() is not None:
            raise Conflict(f"The target is not empty: it has rows in {table.name}.")


def _copy(reading: Connection, writing: Connection, table: Table) -> int:
    # A row may refer to a later one of its own table: such columns are filled at the end.
    circular = [
        column
        for column in table.columns
        if column.nullable and any(key.column.table is table for key in column.foreign_keys)
    ]
    statement = insert(table).values(
        {
            column.name: null()
            if column in circular
            else bindparam(f"v_{column.name}", type_=_type(column.type))
            for column in table.columns
        }
    )
    query = select(table).order_by(*table.primary_key.columns)
    rows = reading.execute(query.execution_options(yield_per=BATCH))
    count = 0
    pointers: list[dict[str, Any]] = []
    for batch in rows.mappings().partitions(BATCH):
        writing.execute(statement, [{f"v_{name}": row[name] for name in row} for row in batch])
        count += len(batch)
        pointers.extend(
            {"row": row["id"], **{f"v_{column.name}": row[column.name] for column in circular}}
            for row in batch
            if any(row[column.name] is not None for column in circular)
        )
    if pointers:
        writing.execute(
            update(table)
            .where(table.c.id == bindparam("row"))
            .values(
                # Naming them keeps the times of change as they are.
                {column.name: column for column in table.columns if column.onupdate is not None}
                | {column.name: bindparam(f"v_{column.name}") for column in circular}
            ),
            pointers,
        )
    return count


def _type(kind: Any) -> Any:
    """Return a type that writes an absent JSON value as NULL, not as the JSON word null."""
    if isinstance(kind, JSON):
        return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    return kind
