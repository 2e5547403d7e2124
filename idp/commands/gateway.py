"""`idp gateway`: products, subscriptions, authorization servers and upstreams of gateways."""

from __future__ import annotations

from typing import Any

import click

from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import COUNT, ID
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.publishing.gateway import products
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.models import AuthorizationServer, Product
from idp.publishing.gateway.products import NewProduct, NewServer


@click.group(cls=Group)
def gateway() -> None:
    """Manage gateway products, subscriptions and upstreams."""


@gateway.command("list", example="idp gateway list")
@output.json_option
def list_(*, as_json: bool) -> None:
    """List the published APIs."""
    with opening.open_session() as session:
        rows = [
            {
                "api": state.api_id,
                "suffix": state.suffix,
                "version": version.name or None,
                "id": version.aid,
                "revision": version.current.number,
                "upstream": version.current.upstream,
                "products": list(version.products),
                "tenant": state.tenant_id,
            }
            for state in publications.everything(session)
            for version in state.versions
        ]
    output.show_rows(rows, as_json=as_json)


@gateway.group()
def upstream() -> None:
    """Manage allowed upstream addresses of a tenant; without one no API can be published."""


@upstream.command(
    "add", example="idp gateway upstream add https://orders.internal.example/v1 --tenant 2"
)
@click.argument("url")
@click.option(
    "--tenant", "tenant_id", type=ID, default=PLATFORM_TENANT_ID, show_default=True, help="Tenant."
)
@output.json_option
def add_upstream(*, url: str, tenant_id: int, as_json: bool) -> None:
    """Allow http(s)://host[:port][/path] and everything below it."""
    with opening.open_session() as session:
        row = products.allow_upstream(session, tenant_id, url)
        written = {"url": row.url, "tenant": row.tenant_id}
        session.commit()
    output.show(written, as_json=as_json)


@upstream.command("list", example="idp gateway upstream list")
@click.option("--tenant", "tenant_id", type=ID, help="Only those of this tenant.")
@output.json_option
def list_upstreams(*, tenant_id: int | None, as_json: bool) -> None:
    """List the addresses."""
    with opening.open_session() as session:
        found = products.list_upstreams(session, tenant_id)
        rows = [{"url": row.url, "tenant": row.tenant_id} for row in found]
    output.show_rows(rows, as_json=as_json)


@upstream.command(
    "remove", example="idp gateway upstream remove https://orders.internal.example/v1 --tenant 2"
)
@click.argument("url")
@click.option(
    "--tenant", "tenant_id", type=ID, default=PLATFORM_TENANT_ID, show_default=True, help="Tenant."
)
@output.json_option
def remove_upstream(*, url: str, tenant_id: int, as_json: bool) -> None:
    """Remove an address; APIs published with it are closed at once."""
    with opening.open_session() as session:
        products.forbid_upstream(session, tenant_id, url)
        session.commit()
    output.show({"url": url, "tenant": tenant_id, "removed": True}, as_json=as_json)


@gateway.group()
def product() -> None:
    """Manage products, which open APIs to subscribed clients."""


@product.command("add", example="idp gateway product add gold --name Gold --scope orders.read")
@click.argument("pid")
@click.option("--name", help="Name shown to people; default: the id.")
@click.option("--description", help="Text for developers.")
@click.option("--terms", help="Terms of use.")
@click.option("--scope", help="Scope that tokens need for this product.")
@click.option("--tenant", "tenant_id", type=ID, help="Only APIs of this tenant can be in it.")
@click.option("--limit", "subscriptions_limit", type=COUNT, help="Maximum number of subscriptions.")
@click.option("--open", "is_open", is_flag=True, help="No subscription is needed.")
@click.option(
    "--hidden", "is_hidden", is_flag=True, help="It is not published and gives no access."
)
@output.json_option
def add_product(
    *,
    pid: str,
    name: str | None,
    is_open: bool,
    is_hidden: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Add a product."""
    new = NewProduct(
        pid,
        name or pid,
        subscription_required=not is_open,
        is_published=not is_hidden,
        **fields,
    )
    with opening.open_session() as session:
        value = describe_product(products.add_product(session, new))
        session.commit()
    output.show(value, as_json=as_json)


@product.command("list", example="idp gateway product list")
@click.option("--tenant", "tenant_id", type=ID, help="Only those of this tenant.")
@output.json_option
def list_products(*, tenant_id: int | None, as_json: bool) -> None:
    """List the products."""
    with opening.open_session() as session:
        rows = [describe_product(row) for row in products.list_products(session, tenant_id)]
    output.show_rows(rows, as_json=as_json)


@product.command("remove", example="idp gateway product remove gold")
@click.argument("pid")
@output.json_option
def remove_product(*, pid: str, as_json: bool) -> None:
    """Remove a product that no API is published with."""
    with opening.open_session() as session:
        products.remove_product(session, pid)
        session.commit()
    output.show({"id": pid, "removed": True}, as_json=as_json)


@gateway.group()
def server() -> None:
    """Manage the authorization servers that publications name."""


@server.command("add", example="idp gateway server add main --scope orders.read")
@click.argument("sid")
@click.option("--name", help="Name shown to people; default: the id.")
@click.option("--description", help="Text for developers.")
@click.option("--authorize", "authorization_endpoint", help="Default: that of the tenant's issuer.")
@click.option("--token", "token_endpoint", help="Default: that of the tenant's issuer.")
@click.option("--registration", "client_registration_endpoint", help="Where clients register.")
@click.option("--scope", "default_scope", help="Scope that calls need where no other is named.")
@click.option("--client", "client_id", help="Client for trying out the API.")
@click.option("--tenant", "tenant_id", type=ID, help="Only for APIs of this tenant.")
@output.json_option
def add_server(*, sid: str, name: str | None, as_json: bool, **fields: Any) -> None:
    """Add an authorization server."""
    with opening.open_session() as session:
        value = describe_server(products.add_server(session, NewServer(sid, name or sid, **fields)))
        session.commit()
    output.show(value, as_json=as_json)


@server.command("list", example="idp gateway server list")
@click.option("--tenant", "tenant_id", type=ID, help="Only those of this tenant.")
@output.json_option
def list_servers(*, tenant_id: int | None, as_json: bool) -> None:
    """List the authorization servers."""
    with opening.open_session() as session:
        rows = [describe_server(row) for row in products.list_servers(session, tenant_id)]
    output.show_rows(rows, as_json=as_json)


@server.command("remove", example="idp gateway server remove main")
@click.argument("sid")
@output.json_option
def remove_server(*, sid: str, as_json: bool) -> None:
    """Remove an authorization server that no publication names."""
    with opening.open_session() as session:
        products.remove_server(session, sid)
        session.commit()
    output.show({"id": sid, "removed": True}, as_json=as_json)


@gateway.group()
def subscription() -> None:
    """Manage which clients may use which products."""


@subscription.command("add", example="idp gateway subscription add --product gold --client shop")
@click.option("--product", "pid", required=True, help="Id of the product.")
@click.option("--client", "client_id", required=True, help="Id of the client.")
@output.json_option
def add_subscription(*, pid: str, client_id: str, as_json: bool) -> None:
    """Subscribe a client to a product."""
    with opening.open_session() as session:
        products.subscribe(session, pid, client_id)
        session.commit()
    output.show({"product": pid, "client_id": client_id}, as_json=as_json)


@subscription.command("list", example="idp gateway subscription list --product gold")
@click.option("--product", "pid", help="Only those of this product.")
@output.json_option
def list_subscriptions(*, pid: str | None, as_json: bool) -> None:
    """List products with their clients."""
    with opening.open_session() as session:
        found = products.list_subscriptions(session, None if pid is None else [pid])
    rows = [{"product": pid, "client_id": client_id} for pid, client_id in found]
    output.show_rows(rows, as_json=as_json)


@subscription.command(
    "remove", example="idp gateway subscription remove --product gold --client shop"
)
@click.option("--product", "pid", required=True, help="Id of the product.")
@click.option("--client", "client_id", required=True, help="Id of the client.")
@output.json_option
def remove_subscription(*, pid: str, client_id: str, as_json: bool) -> None:
    """End a client's subscription to a product."""
    with opening.open_session() as session:
        products.unsubscribe(session, pid, client_id)
        session.commit()
    output.show({"product": pid, "client_id": client_id, "removed": True}, as_json=as_json)


def describe_product(row: Product) -> dict[str, Any]:
    """Describe a product."""
    return {
        "id": row.pid,
        "name": row.name,
        "scope": row.scope,
        "subscription_required": row.subscription_required,
        "subscriptions_limit": row.subscriptions_limit,
        "published": row.is_published,
        "tenant": row.tenant_id,
    }


def describe_server(row: AuthorizationServer) -> dict[str, Any]:
    """Describe an authorization server."""
    return {
        "id": row.sid,
        "name": row.name,
        "authorization_endpoint": row.authorization_endpoint,
        "token_endpoint": row.token_endpoint,
        "default_scope": row.default_scope,
        "tenant": row.tenant_id,
    }
