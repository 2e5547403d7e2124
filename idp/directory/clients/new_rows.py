"""The rows of a client that registers itself, inserted past the session.

Workers cache clients, and would forget all that they know of them with each one that registers.
Nothing that they cache is about a client that was not there. What changes for them is the set of
all origins, and only by an origin that no client had before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, CTE, JSON, Insert, Text, bindparam, cast, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from idp.directory.clients import snapshot
from idp.directory.clients.models import (
    Client,
    ClientCorsOrigin,
    ClientGrantType,
    ClientPostLogoutRedirectUri,
    ClientRedirectUri,
    ClientRegistration,
    ClientScope,
    ClientSecret,
)
from idp.platform.db import Base, bump_configuration

LISTS: Mapping[str, tuple[type[Base], str]] = {
    "redirect_uris": (ClientRedirectUri, "redirect_uri"),
    "post_logout_redirect_uris": (ClientPostLogoutRedirectUri, "post_logout_redirect_uri"),
    "cors_origins": (ClientCorsOrigin, "origin"),
    "grant_types": (ClientGrantType, "grant_type"),
    "scopes": (ClientScope, "scope"),
}
"""Lists of such a client: their tables, with the column of their values."""
_SECRETS = "secrets"
_OF_REGISTRATION = (
    *("issuer_tenant_id", "registration_token_id", "token_hash", "extra", "created_at"),
)


def add(session: Session, client: Client, registration: Mapping[str, Any]) -> None:
    """Insert a client that was checked, with its lists, its secrets and its registration."""
    lists = {
        name: [getattr(row, column) for row in getattr(client, name)]
        for name, (_, column) in LISTS.items()
    }
    lists[_SECRETS] = [row.value_hash for row in client.secrets]
    is_new = not snapshot.cors_origins(session).issuperset(lists["cors_origins"])
    if session.get_bind().dialect.name == "postgresql":
        client.id = _add_at_once(session, client, registration, lists)
    else:
        client.id = _add_in_steps(session, client, registration, lists)
    if is_new:
        bump_configuration(session)


def _values(client: Client) -> dict[str, Any]:
    names = [column.name for column in Client.__table__.columns if column.name != "id"]
    return {name: getattr(client, name) for name in names}


def _add_at_once(
    session: Session,
    client: Client,
    registration: Mapping[str, Any],
    lists: Mapping[str, list[str]],
) -> int:
    """Insert all rows by one statement of PostgreSQL."""
    values = {f"client_{name}": value for name, value in _values(client).items()}
    values |= {f"registration_{name}": registration[name] for name in _OF_REGISTRATION}
    connection = session.connection()
    row_id: int = connection.execute(_statement(), {**values, **lists}).scalar_one()
    return row_id


@cache
def _statement() -> Insert:
    kinds = Client.__table__.columns
    columns = [column.name for column in kinds if column.name != "id"]
    added = (
        insert(Client)
        .values(
            {name: bindparam(f"client_{name}", type_=_kind(kinds[name].type)) for name in columns}
        )
        .returning(Client.id)
        .cte("new_client")
    )
    tables = [_of_list(added, name, model, column) for name, (model, column) in LISTS.items()]
    own = ClientRegistration.__table__.columns
    registration = [
        cast(bindparam(f"registration_{name}", type_=own[name].type), own[name].type)
        for name in _OF_REGISTRATION
    ]
    return (
        insert(ClientRegistration)
        .from_select(
            ["client_id", *_OF_REGISTRATION],
            select(added.c.id, *registration),
            include_defaults=False,
        )
        .add_cte(*tables, _of_secrets(added))
        .returning(ClientRegistration.client_id)
    )


def _kind(kind: Any) -> Any:
    """Return the type of a column; what is not there is NULL, not the null of JSON."""
    return JSONB(none_as_null=True) if isinstance(kind, JSON) else kind


def _texts(name: str) -> Any:
    return func.unnest(cast(bindparam(name, type_=ARRAY(Text)), ARRAY(Text)))


def _of_list(added: CTE, name: str, model: type[Base], column: str) -> CTE:
    rows = select(added.c.id, _texts(name))
    return (
        insert(model)
        .from_select(["client_id", column], rows, include_defaults=False)
        .cte(f"new_{name}")
    )


def _of_secrets(added: CTE) -> CTE:
    kind = ClientSecret.created_at.type
    moment = cast(bindparam("registration_created_at", type_=kind), kind)
    rows = select(added.c.id, _texts(_SECRETS), moment)
    return (
        insert(ClientSecret)
        .from_select(["client_id", "value_hash", "created_at"], rows, include_defaults=False)
        .cte("new_secrets")
    )


def _add_in_steps(
    session: Session,
    client: Client,
    registration: Mapping[str, Any],
    lists: Mapping[str, list[str]],
) -> int:
    """Insert the rows one table after the other; SQLite has no other way."""
    connection = session.connection()
    given = {name: value for name, value in _values(client).items() if value is not None}
    row_id: int = connection.execute(insert(Client).returning(Client.id), given).scalar_one()
    for name, (model, column) in LISTS.items():
        if lists[name]:
            rows = [{"client_id": row_id, column: value} for value in lists[name]]
            connection.execute(insert(model), rows)
    for value in lists[_SECRETS]:
        secret = {"client_id": row_id, "value_hash": value, "created_at": client.created_at}
        connection.execute(insert(ClientSecret), secret)
    connection.execute(insert(ClientRegistration), {"client_id": row_id, **registration})
    return row_id
