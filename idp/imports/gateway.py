"""The sections about the gateway: upstreams, products, servers, subscriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from idp.imports.entries import DUPLICATE, by, each, only, tenant_id
from idp.imports.run import Entry, Run, at
from idp.platform.errors import BadRequest
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.publishing.gateway import products
from idp.publishing.gateway.models import AuthorizationServer, Product
from idp.publishing.gateway.products import NewProduct, NewServer


def upstreams(run: Run, entries: Sequence[Entry]) -> None:
    """Import upstream addresses, found by tenant and address."""
    known = {(row.tenant_id, row.url) for row in products.list_upstreams(run.session)}
    seen: set[tuple[int, str]] = set()
    for index, entry in enumerate(entries):
        with at(f"upstreams[{index}]"):
            owner = tenant_id(run, entry) or PLATFORM_TENANT_ID
            key = (owner, products.check_upstream(entry["url"]))
            if key in seen:
                raise BadRequest.at("url", DUPLICATE)
            seen.add(key)
            if key not in known:
                products.allow_upstream(run.session, *key)
            name = "/".join(filter(None, (entry.get("tenant"), key[1])))
            run.note("upstreams", name, [], is_new=key not in known)


def products_(run: Run, entries: Sequence[Entry]) -> None:
    """Import products, found by id."""
    known = by(run.session, Product, Product.pid, [entry["pid"] for entry in entries])
    for index, entry in each("products", entries, "pid"):
        with at(f"products[{index}]"):
            values = _values(run, entry)
            row = known.get(entry["pid"])
            is_new = row is None
            if row is None:
                row = products.add_product(run.session, NewProduct(entry["pid"], **values))
            _refuse_other_tenant(row, values, "The tenant of a product cannot be changed.")
            run.update("products", row.pid, row, values, is_new=is_new)


def authorization_servers(run: Run, entries: Sequence[Entry]) -> None:
    """Import authorization servers, found by id."""
    ids = [entry["sid"] for entry in entries]
    known = by(run.session, AuthorizationServer, AuthorizationServer.sid, ids)
    for index, entry in each("authorization_servers", entries, "sid"):
        with at(f"authorization_servers[{index}]"):
            values = _values(run, entry)
            products.check_endpoints(only(entry, *products.ENDPOINTS))
            row = known.get(entry["sid"])
            is_new = row is None
            if row is None:
                row = products.add_server(run.session, NewServer(entry["sid"], **values))
            _refuse_other_tenant(
                row, values, "The tenant of an authorization server cannot be changed."
            )
            run.update("authorization_servers", row.sid, row, values, is_new=is_new)


def product_subscriptions(run: Run, entries: Sequence[Entry]) -> None:
    """Import subscriptions of clients to products, found by both."""
    pids = {entry["product"] for entry in entries}
    known = {*products.list_subscriptions(run.session, pids)}
    for index, entry in each("product_subscriptions", entries, "product", "client"):
        with at(f"product_subscriptions[{index}]"):
            key = (entry["product"], entry["client"])
            if key not in known:
                products.subscribe(run.session, *key)
            run.note("product_subscriptions", "/".join(key), [], is_new=key not in known)


def _values(run: Run, entry: Entry) -> dict[str, Any]:
    """Return the values that the file sets for a product or a server, by column."""
    values = only(entry, *(name for name in entry if name not in {"pid", "sid", "tenant"}))
    values["name"] = products.check_name(entry["name"])
    if "tenant" in entry:
        values["tenant_id"] = tenant_id(run, entry)
    return values


def _refuse_other_tenant(
    row: Product | AuthorizationServer, values: Mapping[str, Any], message: str
) -> None:
    if values.get("tenant_id", row.tenant_id) != row.tenant_id:
        raise BadRequest.at("tenant", message)
