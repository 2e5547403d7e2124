"""The ids of new rows: the highest that a table ever assigned, and where the next ones start."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, func, inspect, select, text

from idp.platform.db import Base
from idp.platform.tables import load_models


def numbered(connection: Connection) -> list[Table]:
    """Return the tables of a database that number their rows themselves."""
    load_models()
    present = set(inspect(connection).get_table_names())
    return [
        table
        for table in Base.metadata.sorted_tables
        if table.name in present and is_numbered(table)
    ]


def is_numbered(table: Table) -> bool:
    """Return whether a table numbers its rows itself."""
    return table.autoincrement_column is not None and len(table.primary_key.columns) == 1


def highest(connection: Connection, tables: Sequence[Table]) -> dict[str, int]:
    """Return the highest id that each table ever assigned, of deleted rows too; 0 for none."""
    assigned = _assigned(connection)
    largest = {
        table.name: connection.scalar(select(func.max(table.autoincrement_column))) or 0
        for table in tables
    }
    return {name: max(found, assigned.get(name, 0)) for name, found in largest.items()}


def start_above(connection: Connection, table: Table, number: int) -> None:
    """Make new ids start above a number.

    PostgreSQL does so at once and keeps it when the transaction is rolled back.
    """
    column = table.autoincrement_column
    if column is None or number < 1:
        return
    if connection.dialect.name == "sqlite":
        values = {"table": table.name, "number": number}
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), values)
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:table, :number)"), values)
    else:
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :number)"),
            {"table": f'"{table.name}"', "column": column.name, "number": number},
        )


def _assigned(connection: Connection) -> dict[str, int]:
    """Return the last number of each sequence, by table."""
    if connection.dialect.name == "sqlite":
        statement = text("SELECT name, seq FROM sqlite_sequence")
        return {row.name: row.seq for row in connection.execute(statement)}
    statement = text(
        "SELECT sequencename, last_value FROM pg_sequences"
        " WHERE schemaname = current_schema() AND last_value IS NOT NULL"
    )
    return {
        row.sequencename.removesuffix("_id_seq"): row.last_value
        for row in connection.execute(statement)
    }
