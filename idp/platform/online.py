"""What migrations use so that those who use the database meanwhile hardly wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op
from alembic.migration import MigrationContext
from sqlalchemy import column, func, literal, table, text, update

from idp import __version__
from idp.platform import steps

LARGE = frozenset(
    {
        *("audit_event", "user", "membership", "user_role", "grant", "refresh_token"),
        *("refresh_family", "reference_token", "revoked_token", "browser_session"),
        *("authorization_code", "consent", "outbox"),
    }
)
"""Tables whose indexes are made with `create_index`, so that nobody waits."""

LOCK_MILLISECONDS = 3000
"""How long a statement outside of a transaction waits for a table."""

FIRST = "0020"
"""The revision that makes the table `installation`."""

_INVALID = text(
    "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(quote_ident(:name)) AND NOT indisvalid"
)

_CONSTRAINT = text(
    "SELECT 1 FROM pg_constraint WHERE conname = :name"
    " AND conrelid = to_regclass(quote_ident(:table))"
)


def create_index(name: str, table_name: str, columns: Sequence[Any], **options: Any) -> None:
    """Make an index while the table is read and written.

    The transaction of the migration ends here: such a migration does nothing else. One that was
    interrupted left an index that is never used, which is removed first.
    """
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.create_index(name, table_name, columns, if_not_exists=True, **options)
        return
    with context.autocommit_block():
        if not context.as_sql:
            _prepare(name, table_name)
        op.create_index(
            name,
            table_name,
            columns,
            if_not_exists=True,
            postgresql_concurrently=True,
            **options,
        )


def create_foreign_key(
    name: str, table_name: str, column_name: str, target: str, *, ondelete: str = "CASCADE"
) -> None:
    """Make a foreign key to `table.column` on a column that older code does not fill.

    At first it binds new rows only, which takes a moment; the rows that are there are looked at
    while the table is read and written. The transaction of the migration ends here: such a
    migration does nothing else. One that was interrupted is continued.
    """
    other, other_column = target.split(".")
    context = op.get_context()
    if context.dialect.name != "postgresql":
        with op.batch_alter_table(table_name) as batch:
            batch.create_foreign_key(name, other, [column_name], [other_column], ondelete=ondelete)
        return
    quote = context.dialect.identifier_preparer.quote
    with context.autocommit_block():
        if context.as_sql or not _has_constraint(name, table_name):
            op.execute(
                f"ALTER TABLE {quote(table_name)} ADD CONSTRAINT {quote(name)}"
                f" FOREIGN KEY ({quote(column_name)})"
                f" REFERENCES {quote(other)} ({quote(other_column)})"
                f" ON DELETE {ondelete} NOT VALID"
            )
        op.execute(f"ALTER TABLE {quote(table_name)} VALIDATE CONSTRAINT {quote(name)}")


def _has_constraint(name: str, table_name: str) -> bool:
    """Return whether a constraint is there, and limit what the session waits for."""
    connection = op.get_bind()
    # No transaction, so both hold for the session, which ends with the migration.
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.exec_driver_sql(f"SET lock_timeout = {LOCK_MILLISECONDS}")
    found = {"name": name, "table": table_name}
    return connection.scalar(_CONSTRAINT, found) is not None


def _prepare(name: str, table_name: str) -> None:
    connection = op.get_bind()
    # No transaction, so it holds for the session, which ends with the migration.
    connection.exec_driver_sql("SET statement_timeout = 0")
    if connection.scalar(_INVALID, {"name": name}) is not None:
        op.drop_index(name, table_name=table_name, if_exists=True, postgresql_concurrently=True)


def note_version(*, ctx: MigrationContext, heads: set[str], **_: Any) -> None:
    """Record, in the transaction of a migration, what code fits the schema that it leaves."""
    number = steps.number_of(next(iter(heads), None))
    if number < steps.number_of(FIRST):
        return
    values = {
        "schema_number": literal(number),
        "oldest_code": literal(steps.oldest_code(number)),
        "release": literal(__version__),
        "at": func.current_timestamp(),
    }
    ctx.execute(update(table("installation", *map(column, values))).values(values))
