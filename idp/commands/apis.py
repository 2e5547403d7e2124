"""`idp api`: API resources, whose names are the audience of tokens, and their scopes."""

from __future__ import annotations

import json
from typing import Any

import click
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import ID, pairs
from idp.directory import api_names
from idp.directory.actor import OPERATOR
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.resources.service import NewApi, NewScope
from idp.directory.seeding import service as seeding
from idp.oauth.endpoints import protected_resource
from idp.platform.errors import BadRequest, NotFound


@click.group(cls=Group)
def api() -> None:
    """Manage API resources and their scopes."""


@api.command(
    example="idp api add orders --name Orders --scope orders.read --scope orders.write \\\n"
    "    --claim role --claim permission"
)
@click.argument("name")
@click.option("--name", "display_name", help="Name shown to people.")
@click.option("--description", help="Note for administrators.")
@click.option("--scope", "scopes", multiple=True, help="Scope that applications may request.")
@click.option(
    "--claim",
    "user_claims",
    multiple=True,
    help="Claim about the person in tokens for this API, for example role or permission.",
)
@click.option(
    "--default-scope",
    "default_scopes",
    multiple=True,
    help="Scope of a request that names the API by `resource` and no scope.",
)
@click.option(
    "--open-to-strangers",
    is_flag=True,
    help="Applications that nobody registered may ask for its scopes.",
)
@click.option("--tenant", "tenant_id", type=ID, help="Only clients of this tenant may call it.")
@output.json_option
def add(*, name: str, scopes: tuple[str, ...], as_json: bool, **fields: Any) -> None:
    """Add an API; its name or address is the audience (`aud`) of its tokens."""
    with opening.open_session() as session:
        administrator = seeding.find_administrator(session)
        new = NewApi(
            name,
            scopes=[NewScope(scope) for scope in scopes],
            owner_id=administrator.id if administrator is not None else None,
            **fields,
        )
        made = resources.create_api(session, new)
        session.commit()
        value = _described(resources.get_api(session, OPERATOR, made.id))
    output.show(value, as_json=as_json)


@api.command("list", example="idp api list")
@output.json_option
def list_(*, as_json: bool) -> None:
    """List the APIs by name."""
    with opening.open_session() as session:
        query = resources.select_apis(OPERATOR, load=("scopes", "user_claims"))
        query = query.order_by(ApiResource.name)
        rows = [_described(row) for row in session.scalars(query)]
    output.show_rows(rows, as_json=as_json)


@api.command(example="idp api show orders")
@click.argument("name")
@output.json_option
def show(*, name: str, as_json: bool) -> None:
    """Show an API with its scopes."""
    with opening.open_session() as session:
        value = _described(_get(session, name))
    output.show(value, as_json=as_json)


@api.command(example="idp api scope orders orders.cancel --name 'Cancel your orders'")
@click.argument("api_name", metavar="API")
@click.argument("scope_name", metavar="SCOPE")
@click.option("--name", "display_name", help="Name shown on the consent page.")
@click.option("--description", help="Description shown on the consent page.")
@click.option("--emphasize", is_flag=True, help="Mark it as sensitive on the consent page.")
@click.option("--required", is_flag=True, help="Users cannot deselect it.")
@click.option("--hidden", is_flag=True, help="Leave it out of discovery.")
@click.option("--claim", "user_claims", multiple=True, help="Claim released with this scope.")
@output.json_option
def scope(*, api_name: str, scope_name: str, hidden: bool, as_json: bool, **fields: Any) -> None:
    """Add a scope to an API."""
    with opening.open_session() as session:
        row = _get(session, api_name)
        new = NewScope(scope_name, show_in_discovery_document=not hidden, **fields)
        resources.add_scope(session, row, new)
        session.commit()
        value = _described(_get(session, api_name))
    output.show(value, as_json=as_json)


@api.command(example="idp api secret orders --description 'introspection of the web shop'")
@click.argument("name")
@click.option("--secret", "value", help="At least 24 characters; generated if omitted.")
@click.option("--description", help="Note stored with the secret.")
@output.json_option
def secret(*, name: str, value: str | None, description: str | None, as_json: bool) -> None:
    """Add a secret for the introspection endpoint; it is printed only once."""
    with opening.open_session() as session:
        clear = resources.add_secret(session, _get(session, name), value, description=description)
        session.commit()
    output.show({"api": name, "api_secret": clear}, as_json=as_json)


@api.command(
    example="idp api change https://mcp.example.com/mcp --default-scope mcp.read"
    " --set signing_alg=ES256"
)
@click.argument("name")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Setting to store.")
@click.option("--unset", multiple=True, metavar="NAME", help="Setting to remove.")
@click.option(
    "--default-scope",
    "default_scopes",
    multiple=True,
    help="Scope of a request that names the API by `resource` and no scope; replaces all.",
)
@click.option("--no-default-scopes", is_flag=True, help="Such a request gets no scope.")
@click.option(
    "--open-to-strangers/--closed-to-strangers",
    default=None,
    help="Whether applications that nobody registered may ask for its scopes.",
)
@output.json_option
def change(
    *,
    name: str,
    settings: tuple[str, ...],
    unset: tuple[str, ...],
    no_default_scopes: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Change settings of an API: `permission_format`, `signing_alg` or notes of your own."""
    values = {field: value for field, value in fields.items() if value not in {None, ()}}
    if no_default_scopes:
        values["default_scopes"] = ()
    if not settings and not unset and not values:
        raise BadRequest("Name at least one change.")
    with opening.open_session() as session:
        row = _get(session, name)
        kept = {found.key: found.value for found in row.properties if found.key not in unset}
        resources.set_properties(session, row, kept | pairs(settings))
        resources.change_api(session, OPERATOR, row.id, None, **values)
        session.commit()
        value = _described(_get(session, name))
    output.show(value, as_json=as_json)


@api.command(example="idp api metadata https://mcp.example.com/mcp > oauth-protected-resource.json")
@click.argument("name")
def metadata(*, name: str) -> None:
    """Print the metadata (RFC 9728) that the server of an API publishes.

    APIs at our hosts and at our gateway need no copy: it is served there.
    """
    with opening.open_session() as session:
        row = _get(session, name)
        where = api_names.metadata_url(row.name)
        if where is None:
            raise BadRequest(f"{row.name} is not named by the address that it is called at.")
        value = protected_resource.describe(session, row.name)
    if value is None:
        raise BadRequest(f"The API {row.name} or its tenant is disabled.")
    click.echo(json.dumps(value, indent=2))
    click.echo(f"To be served at {where}", err=True)


def _get(session: Session, name: str) -> ApiResource:
    found = resources.find_api(session, name)
    if found is None:
        raise NotFound(f"There is no API {name}.")
    return resources.get_api(session, OPERATOR, found.id)


def _described(row: ApiResource) -> dict[str, Any]:
    return {
        "name": row.name,
        "display_name": row.display_name,
        "enabled": row.enabled,
        "scopes": [scope.name for scope in row.scopes],
        "default_scopes": row.default_scopes or [],
        "open_to_strangers": row.open_to_strangers,
        "user_claims": [claim.type for claim in row.user_claims],
        "tenant": row.tenant_id,
    }
