"""`idp client`: OAuth clients. Fields have the names of RFC 7591."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from idp import seeds
from idp.commands import opening, output
from idp.commands.options import ID
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client
from idp.directory.clients.service import NewClient
from idp.platform import clock
from idp.platform.errors import BadRequest


@click.group()
def client() -> None:
    """Keep OAuth clients."""


@client.command()
@click.option("--id", "client_id", required=True, help="Identifier; not only digits.")
@click.option("--secret", help="24 characters or more; without one it is made up.")
@click.option("--public", "is_public", is_flag=True, help="It can keep no secret; PKCE is forced.")
@click.option("--grant", "grant_types", multiple=True, help="; ".join(clients.GRANT_TYPES))
@click.option("--scope", "scopes", multiple=True, help="Scope that it may ask for.")
@click.option("--redirect", "redirect_uris", multiple=True, help="Address for codes.")
@click.option("--post-logout", "post_logout_redirect_uris", multiple=True)
@click.option("--cors", "cors_origins", multiple=True, help="Origin whose scripts may call.")
@click.option("--name", "client_name", help="What people read.")
@click.option("--tenant", "tenant_id", type=ID, help="Only members of this tenant may use it.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any single field.")
@output.json_option
def add(
    *, settings: tuple[str, ...], as_json: bool, scopes: tuple[str, ...], **fields: Any
) -> None:
    """Register a client; its secret is printed this once."""
    new = NewClient(
        **fields,
        scopes=[name for scope in scopes for name in scope.split()],
        settings=_pairs(settings),
    )
    with opening.open_session() as session:
        row, secret = clients.create(session, new)
        administrator = seeds.find_administrator(session)
        if administrator is not None:
            clients.link_owner(session, row, administrator.id)
        session.commit()
        value = describe(row)
    if secret is not None:
        value = {"client_id": row.client_id, "client_secret": secret} | value
    output.show(value, as_json=as_json)


@client.command()
@click.argument("client_id", required=False)
@click.option("--id", "named", help="The same as the argument.")
@click.option("--secret", "value", help="24 characters or more; without one it is made up.")
@click.option("--description")
@click.option("--days", type=click.IntRange(1, 36_500), help="Days until it expires.")
@output.json_option
def secret(
    *,
    client_id: str | None,
    named: str | None,
    value: str | None,
    description: str | None,
    days: int | None,
    as_json: bool,
) -> None:
    """Add a secret, printed this once; older ones stay valid."""
    name = named or client_id
    if name is None:
        raise BadRequest("Name the client.")
    expires_at = clock.now() + timedelta(days=days) if days is not None else None
    with opening.open_session() as session:
        row = clients.get(session, name)
        clear = clients.add_secret(
            session, row, value, description=description, expires_at=expires_at
        )
        session.commit()
    answer = {
        "client_id": name,
        "client_secret": clear,
        "client_secret_expires_at": output.seconds(expires_at),
    }
    output.show(answer, as_json=as_json)


@client.command("list")
@click.option("--tenant", "tenant_id", type=ID)
@output.json_option
def list_(*, tenant_id: int | None, as_json: bool) -> None:
    """List the clients, without their secrets."""
    with opening.open_session() as session:
        rows = [_listed(row) for row in _all(session, tenant_id)]
    if not as_json:
        short = ("client_id", "client_name", "grant_types", "enabled", "tenant")
        rows = [{name: row[name] for name in short} for row in rows]
    output.show_rows(rows, as_json=as_json)


def describe(row: Client) -> dict[str, Any]:
    """Describe a client with the names of RFC 7591; never a secret."""
    grant_types = [grant.grant_type for grant in row.grant_types]
    method = row.token_endpoint_auth_method
    if method is None:
        method = "client_secret_basic" if row.require_client_secret else "none"
    return {
        "client_id": row.client_id,
        "client_id_issued_at": output.seconds(row.created_at),
        "client_secret_expires_at": 0,
        "client_name": row.client_name,
        "application_type": row.application_type,
        "token_endpoint_auth_method": method,
        "grant_types": grant_types,
        "response_types": ["code"] if "authorization_code" in grant_types else [],
        "scope": " ".join(
            [scope.scope for scope in row.scopes]
            + ([clients.OFFLINE_ACCESS] if row.allow_offline_access else [])
        ),
        "redirect_uris": [uri.redirect_uri for uri in row.redirect_uris],
        "post_logout_redirect_uris": [
            uri.post_logout_redirect_uri for uri in row.post_logout_redirect_uris
        ],
        "require_pkce": row.require_pkce,
        "tenant": row.tenant_id,
    }


def _listed(row: Client) -> dict[str, Any]:
    value = describe(row) | {"enabled": row.enabled}
    del value["client_secret_expires_at"]  # there may be several; it belongs to an issued one
    return value


def _all(session: Session, tenant_id: int | None) -> list[Client]:
    return [*clients.list(session, tenant_id=tenant_id)]


def _pairs(settings: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadRequest(f"--set takes NAME=VALUE, not {text!r}.")
        pairs[name] = value
    return pairs
