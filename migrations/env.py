"""How Alembic runs our migrations: each whole or not at all, on either database."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON, BigInteger

from idp.platform import online
from idp.platform.db import Base, UtcDateTime
from idp.platform.tables import load_models


def render_type(type_: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our column types as the names that the template of a migration defines."""
    if type_ != "type":
        return False
    if isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, BigInteger):
        return "BigInt"
    if isinstance(item, JSON | JSONB):
        return "Json"
    return False


def migrate(connection: Connection) -> None:
    """Run what is asked for on this connection, all or nothing."""
    if connection.dialect.name != "sqlite":
        configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
        return
    # Rebuilding a table drops the old one; with this on, that would delete rows that point
    # at it. It has no effect inside a transaction, hence on the driver's connection.
    connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
    with connection.begin(), warnings.catch_warnings():
        # Whoever rebuilds a table that refers to one with such an index need not know it.
        warnings.filterwarnings("ignore", message=".*expression-based index")
        configure(connection=connection, render_as_batch=True)
        context.run_migrations()
        if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
            message = f"rows that point at nothing after the migration: {broken[:10]}"
            raise RuntimeError(message)


def configure(**options: Any) -> None:
    """Hand Alembic what it needs."""
    given = context.config.attributes
    context.configure(
        target_metadata=Base.metadata,
        compare_type=True,
        render_item=render_type,
        on_version_apply=[online.note_version, *given.get("on_version_apply", ())],
        **options,
    )


def write() -> None:
    """Write the statements for PostgreSQL instead of running them."""
    configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # else each % is doubled, as the driver wants it
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Use the connection handed in, or the one of the Flask application of `flask db`."""
    if context.is_offline_mode():
        write()
        return
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    from flask import current_app  # noqa: PLC0415 - only for `flask db`

    load_models()
    with current_app.extensions["migrate"].db.engine.connect() as connection:
        migrate(connection)


main()
