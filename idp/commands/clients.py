"""`idp client`: OAuth clients. Fields have the names of RFC 7591."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from idp.commands import opening, output
from idp.commands.command import Group, confirm, yes_option
from idp.commands.options import ID, pairs
from idp.directory import product
from idp.directory.clients import presets, rules
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client
from idp.directory.clients.service import NewClient
from idp.directory.seeding import service as seeding
from idp.oauth import grant_state
from idp.platform import clock
from idp.platform.errors import BadRequest

_LISTS = {
    "--grant": ("grant_types", f"Grant type: {', '.join(product.GRANT_TYPES)}."),
    "--scope": ("scopes", "Scope that the client may request."),
    "--redirect": ("redirect_uris", "Redirect URI."),
    "--post-logout": (
        "post_logout_redirect_uris",
        "Address that users may be sent to after signing out.",
    ),
    "--cors": ("cors_origins", "Origin whose scripts may call the token endpoint."),
}
"""Options that may be repeated, with the field and the help of each."""


def _list_options(command: Callable[..., None]) -> Callable[..., None]:
    for option, (field, text) in reversed(_LISTS.items()):
        command = click.option(option, field, multiple=True, help=text)(command)
    return command


@click.group(cls=Group)
def client() -> None:
    """Manage OAuth clients."""


@client.command(
    example="idp client add --id shop --kind web --name 'The shop' \\\n"
    "    --redirect https://shop.example/callback"
)
@click.option(
    "--id", "client_id", required=True, help="Client id; must not consist of digits only."
)
@click.option(
    "--kind",
    type=click.Choice([*presets.PRESETS]),
    help="web: an application with a server. spa: scripts in a page. native: on a device of its "
    "user. service: a program without a user. Sets grant types and related settings.",
)
@click.option("--secret", help="At least 24 characters; generated if omitted.")
@click.option(
    "--public", "is_public", is_flag=True, help="The client has no secret; PKCE is required."
)
@_list_options
@click.option("--name", "client_name", help="Name shown to people.")
@click.option(
    "--tenant", "tenant_id", type=ID, help="Only members of this tenant can use the client."
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any field that is not a list."
)
@output.json_option
def add(
    *,
    kind: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    scopes: tuple[str, ...],
    **fields: Any,
) -> None:
    """Register a client; its secret is printed only once."""
    new = NewClient(**fields, scopes=_split(scopes), settings=pairs(settings))
    new = presets.fill(new, kind)
    with opening.open_session() as session:
        row, secret = clients.create(session, new)
        administrator = seeding.find_administrator(session)
        if administrator is not None:
            clients.link_owner(session, row, administrator.id)
        session.commit()
        value = describe(row)
    if secret is not None:
        value = {"client_id": row.client_id, "client_secret": secret} | value
    output.show(value, as_json=as_json)


@client.command(example="idp client secret shop --description 'second data centre' --days 365")
@click.argument("client_id", required=False)
@click.option("--id", "named", help="Same as the argument.")
@click.option("--secret", "value", help="At least 24 characters; generated if omitted.")
@click.option("--description", help="Note shown with the secret.")
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
    """Add a secret, which is printed only once; older ones stay valid."""
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


@client.command("list", example="idp client list --tenant 2")
@click.option("--tenant", "tenant_id", type=ID, help="Only those of this tenant.")
@output.json_option
def list_(*, tenant_id: int | None, as_json: bool) -> None:
    """List the clients, without their secrets."""
    with opening.open_session() as session:
        rows = [_listed(row) for row in clients.list(session, tenant_id=tenant_id)]
    if not as_json:
        short = ("client_id", "client_name", "grant_types", "enabled", "tenant")
        rows = [{name: row[name] for name in short} for row in rows]
    output.show_rows(rows, as_json=as_json)


@client.command(example="idp client show shop")
@click.argument("client_id")
@output.json_option
def show(*, client_id: str, as_json: bool) -> None:
    """Show a client: its settings, and its secrets without their values."""
    with opening.open_session() as session:
        value = _shown(clients.get(session, client_id))
    output.show(value, as_json=as_json)


@client.command(
    example="idp client change shop --redirect https://shop.example/callback \\\n"
    "    --redirect https://shop.example/silent --set access_token_lifetime=600"
)
@click.argument("client_id")
@_list_options
@click.option(
    "--clear", multiple=True, type=click.Choice([*_LISTS]), help="Empty the list of this option."
)
@click.option("--name", "client_name", help="Name shown to people.")
@click.option("--enable/--disable", "enabled", default=None, help="Enable or disable the client.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any field that is not a list."
)
@click.option(
    "--remove-secret",
    "secret_ids",
    multiple=True,
    type=ID,
    metavar="ID",
    help="Delete the secret with this id, as `show` lists it.",
)
@output.json_option
def change(
    *,
    client_id: str,
    client_name: str | None,
    enabled: bool | None,
    settings: tuple[str, ...],
    clear: tuple[str, ...],
    secret_ids: tuple[int, ...],
    as_json: bool,
    **given: tuple[str, ...],
) -> None:
    """Change a client; a list that is named replaces the stored one, the others stay."""
    values: dict[str, Any] = {**pairs(settings)}
    if client_name is not None:
        values["client_name"] = client_name
    if enabled is not None:
        values["enabled"] = enabled
    given["scopes"] = (*_split(given["scopes"]),)
    lists = {_LISTS[option][0]: () for option in clear} | {
        name: values for name, values in given.items() if values
    }
    if not (values or lists or secret_ids):
        raise BadRequest("Name at least one change.")
    with opening.open_session() as session:
        row = clients.get(session, client_id)
        if values or lists:
            clients.update(session, row, values, lists)
        for secret_id in secret_ids:
            clients.remove_secret(session, row, secret_id)
        session.commit()
        value = _shown(row)
    output.show(value, as_json=as_json)


@client.command(example="idp client remove shop")
@click.argument("client_id")
@yes_option
@output.json_option
def remove(*, client_id: str, yes: bool, as_json: bool) -> None:
    """Delete a client with its secrets, consents and tokens."""
    with opening.open_session() as session:
        row = clients.get(session, client_id)
        grants, _people = grant_state.count_live(session, row.id)
        session.commit()  # no transaction is open during the prompt
        sign_ins = "1 sign-in ends" if grants == 1 else f"{grants} sign-ins end"
        confirm(f"Delete {client_id}? {sign_ins} with it.", yes=yes, as_json=as_json)
        clients.delete(session, clients.get(session, client_id))
        session.commit()
    output.show({"client_id": client_id, "grants_ended": grants}, as_json=as_json)


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
            + ([rules.OFFLINE_ACCESS] if row.allow_offline_access else [])
        ),
        "redirect_uris": [uri.redirect_uri for uri in row.redirect_uris],
        "post_logout_redirect_uris": [
            uri.post_logout_redirect_uri for uri in row.post_logout_redirect_uris
        ],
        "require_pkce": row.require_pkce,
        "require_pushed_authorization_requests": row.require_pushed_authorization_requests,
        "security_profile": row.security_profile,
        "tenant": row.tenant_id,
    }


def _listed(row: Client) -> dict[str, Any]:
    value = describe(row) | {"enabled": row.enabled}
    del value["client_secret_expires_at"]  # there may be several; it belongs to an issued one
    return value


def _shown(row: Client) -> dict[str, Any]:
    return _listed(row) | {
        "cors_origins": [origin.origin for origin in row.cors_origins],
        "require_consent": row.require_consent,
        "access_token_lifetime": row.access_token_lifetime,
        "client_secrets": [
            {
                "id": secret.id,
                "description": secret.description,
                "expires_at": output.seconds(secret.expires_at),
            }
            for secret in row.secrets
        ],
    }


def _split(scopes: tuple[str, ...]) -> list[str]:
    return [name for scope in scopes for name in scope.split()]
