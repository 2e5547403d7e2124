"""When each secret, and each client that registered itself, was last used, by the minute.

A worker notes uses in memory and writes them once a minute, never in the request that used the
secret: such a request needs no statement otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp.directory.clients.models import ClientRegistration, ClientSecret, ClientSecretUse
from idp.directory.resources.models import ApiSecret, ApiSecretUse
from idp.platform.db import insert
from idp.platform.recent_uses import Use
from idp.platform.runtime import Runtime

CLIENT, API = "client", "api"
REGISTERED_CLIENT = "registered client"
_TABLES: Mapping[str, tuple[Any, Any]] = {
    CLIENT: (ClientSecret, ClientSecretUse),
    API: (ApiSecret, ApiSecretUse),
}

_CLIENT_USED = (
    update(ClientRegistration)
    .where(ClientRegistration.client_id == bindparam("of"))
    .values(used_at=bindparam("at", type_=ClientRegistration.used_at.type))
)

log = structlog.get_logger()


def write_due(runtime: Runtime) -> None:
    """Write what was used, where a minute has passed since the last time."""
    if runtime.uses.is_due():
        write(runtime)


def write(runtime: Runtime) -> None:
    """Write what was used since the last time; where the database fails, it is noted again later.

    The last use of a secret that is used at all is then written with the next one.
    """
    taken = runtime.uses.take()
    if not taken:
        return
    try:
        with runtime.sessions() as session:
            store(session, taken)
            session.commit()
    except SQLAlchemyError as error:
        log.warning("secret_uses_not_written", error=type(error).__name__, count=len(taken))


def store(session: Session, taken: Mapping[Use, datetime]) -> None:
    """Keep the last use of each secret; one that was removed meanwhile is left out."""
    for kind, (secret, use) in _TABLES.items():
        # In one order, so that two workers do not wait for each other in a circle.
        rows = [
            {"of": row_id, "at": at} for (of, row_id), at in sorted(taken.items()) if of == kind
        ]
        if not rows:
            continue
        found = select(secret.id, bindparam("at", type_=use.used_at.type)).where(
            secret.id == bindparam("of")
        )
        statement = insert(session, use).from_select(["secret_id", "used_at"], found)
        session.connection().execute(
            statement.on_conflict_do_update(
                index_elements=["secret_id"],
                set_={"used_at": statement.excluded.used_at},
                where=use.used_at < statement.excluded.used_at,
            ),
            rows,
        )
    _store_clients(session, taken)


def _store_clients(session: Session, taken: Mapping[Use, datetime]) -> None:
    rows = [
        {"of": row_id, "at": at}
        for (kind, row_id), at in sorted(taken.items())
        if kind == REGISTERED_CLIENT
    ]
    if rows:
        session.connection().execute(_CLIENT_USED, rows)
