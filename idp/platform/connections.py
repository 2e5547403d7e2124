"""How the driver connects to the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import make_url


def arguments(database_url: str, *, prepare: bool) -> dict[str, Any]:
    """Return what the driver is given besides the address.

    Without `prepare` no statement is prepared on the server: behind a connection pooler in
    transaction mode the next statement of a connection may reach another server process.
    """
    if prepare or make_url(database_url).get_backend_name() == "sqlite":
        return {}
    return {"prepare_threshold": None}
