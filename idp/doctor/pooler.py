"""Detection of connection poolers that do not support prepared statements."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, text

from idp.platform import revisions

TRIES = 5
"""The second connection gets the server process of the first one unless others are quicker."""


def is_pooled(connection: Connection) -> bool:
    """Return whether a pooler responds: the process id that it announces is not the real one."""
    announced = _driver(connection).info.backend_pid
    return bool(announced != connection.scalar(text("SELECT pg_backend_pid()")))


def mixes_statements(database_url: str) -> bool:
    """Return whether one connection finds what another one prepared and left.

    A pooler in session mode clears the server process between the two, and one that supports
    prepared statements gives them names of its own.
    """
    return any(_is_found_by_another(database_url) for _ in range(TRIES))


def _is_found_by_another(database_url: str) -> bool:
    name = f"idp_doctor_{token_hex(8)}"
    with revisions.looking(database_url) as connection:
        # PREPARE in SQL is not what drivers send, and poolers tell the two apart.
        _driver(connection).pgconn.prepare(name.encode(), b"SELECT 1")
    with revisions.looking(database_url) as connection:
        query = text("SELECT count(*) FROM pg_prepared_statements WHERE name = :name")
        found = bool(connection.scalar(query, {"name": name}))
        if found:
            connection.exec_driver_sql(f"DEALLOCATE {name}")
    return found


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
