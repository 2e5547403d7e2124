"""What the operator manages: products and subscriptions, authorization servers, upstreams."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, raiseload

from idp.directory.clients.models import Client
from idp.directory.resources.models import ApiResource
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import bump_configuration, count_hits
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_, filled
from idp.publishing.gateway.models import (
    AuthorizationServer,
    Product,
    ProductSubscription,
    Publication,
    PublicationRevision,
    PublicationVersion,
    Upstream,
)
from idp.publishing.gateway.upstreams import Address, choose

CHANGEABLE = frozenset(
    {
        *("name", "description", "terms", "scope", "subscription_required"),
        *("subscriptions_limit", "is_published"),
    }
)
"""What may be changed of a product; its id and its tenant stay."""
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "client_registration_endpoint")
"""Of an authorization server."""

Row = TypeVar("Row")
Check = Callable[[Any], None]
"""Refuses a row that is about to be changed, once it is locked, by raising."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
# RFC 6749 3.1 and 3.2: no fragment.
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:[/?][!-\"$-~]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewProduct:
    """A product to be created."""

    pid: str
    name: str
    description: str | None = None
    terms: str | None = None
    scope: str | None = None
    tenant_id: int | None = None
    subscription_required: bool = True
    subscriptions_limit: int | None = None
    is_published: bool = True


@dataclass(frozen=True, slots=True)
class NewServer:
    """An authorization server to be created; without addresses it is the tenant's issuer."""

    sid: str
    name: str
    description: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    client_registration_endpoint: str | None = None
    default_scope: str | None = None
    client_id: str | None = None
    tenant_id: int | None = None
    grant_types: Sequence[str] = ("authorization_code",)


def any_state(_row: Any) -> None:
    """Accept a row in whatever state it is."""


def check_name(name: str) -> str:
    """Return the name of a product or an authorization server in its stored form."""
    if not name.strip() or len(name) > 200 or not name.isprintable():  # noqa: PLR2004 - the column
        raise BadRequest.at("name", N_("The name must have 1 to 200 printable characters."))
    return name.strip()


def check_endpoints(given: Mapping[str, str | None]) -> None:
    """Refuse endpoints of an authorization server that are not addresses, by field."""
    for field, url in given.items():
        if url is not None and not _ENDPOINT.fullmatch(url):
            message = N_("An endpoint must be http(s)://host[:port]/path, without a fragment.")
            raise BadRequest.at(field, message)


def check_upstream(url: str) -> str:
    """Return the address of an upstream in its normal form."""
    address = Address.parse(url)
    if address is None:
        message = N_("An upstream must be http(s)://host[:port][/path].")
        raise BadRequest.at("url", message)
    return address.url


def list_products(session: Session, tenant_id: int | None = None) -> Sequence[Product]:
    """List the products that a tenant may use; None: all."""
    query = select(Product).order_by(Product.id)
    if tenant_id is not None:
        query = query.where(or_(Product.tenant_id.is_(None), Product.tenant_id == tenant_id))
    return session.scalars(query).all()


def select_products() -> Select[Product]:
    """Select the products of all tenants."""
    return select(Product).options(raiseload("*"))


def add_product(session: Session, new: NewProduct) -> Product:
    """Add a product."""
    _check_id("pid", new.pid)
    row = Product(
        pid=new.pid,
        name=check_name(new.name),
        description=new.description,
        terms=new.terms,
        scope=new.scope,
        tenant_id=_check_tenant(session, new.tenant_id),
        subscription_required=new.subscription_required,
        subscriptions_limit=new.subscriptions_limit,
        is_published=new.is_published,
    )
    _insert(session, row, N_("A product with this id already exists."))
    _note(session, new.tenant_id, f"product:{new.pid}", "added")
    return row


def stamp_of(product: Product) -> str:
    """Return what tells the present state of a product from every other."""
    state = [product.pid, *(getattr(product, name) for name in sorted(CHANGEABLE))]
    return hashlib.sha256(orjson.dumps(state)).hexdigest()[:32]


def change_product(
    session: Session, pid: str, values: Mapping[str, Any], check: Check = any_state
) -> Product:
    """Set values of a product; `check` refuses one that is not in the expected state."""
    row = get_product(session, pid, lock=True)
    check(row)
    for name in CHANGEABLE & values.keys():
        setattr(row, name, check_name(values[name]) if name == "name" else values[name])
    session.flush()
    _note(session, row.tenant_id, f"product:{pid}", "changed")
    return row


def versions_in(session: Session, pid: str) -> list[str]:
    """List the ids of the versions that are in a product."""
    query = select(PublicationVersion.aid, PublicationVersion.product_ids)
    return [row.aid for row in session.execute(query) if pid in row.product_ids]


def remove_product(session: Session, pid: str, check: Check = any_state) -> None:
    """Remove a product that no version lists any more; `check` as for a change."""
    row = get_product(session, pid, lock=True)
    check(row)
    used = versions_in(session, pid)
    if used:
        raise Conflict(N_("Still used by publications") + f": {', '.join(used)}")
    session.delete(row)
    session.flush()
    _note(session, row.tenant_id, f"product:{pid}", "removed")


def get_product(session: Session, pid: str, *, lock: bool = False) -> Product:
    """Return a product by id."""
    query = select(Product).where(Product.pid == pid)
    row = session.scalar(_locking(query) if lock else query)
    if row is None:
        raise NotFound.at("product", N_("Product not found."))
    return row


def subscriptions_of(session: Session, product_ids: Collection[int]) -> dict[int, int]:
    """Return how many clients have subscribed to each of several products."""
    column = ProductSubscription.product_id
    query = select(column, func.count()).where(column.in_(product_ids)).group_by(column)
    return dict.fromkeys(product_ids, 0) | dict(session.execute(query).all())


def list_servers(session: Session, tenant_id: int | None = None) -> Sequence[AuthorizationServer]:
    """List the authorization servers that a tenant may name; None: all."""
    query = select(AuthorizationServer).order_by(AuthorizationServer.id)
    if tenant_id is not None:
        column = AuthorizationServer.tenant_id
        query = query.where(or_(column.is_(None), column == tenant_id))
    return session.scalars(query).all()


def add_server(session: Session, new: NewServer) -> AuthorizationServer:
    """Add an authorization server."""
    _check_id("sid", new.sid)
    check_endpoints({name: getattr(new, name) for name in ENDPOINTS})
    tenant_id = _check_tenant(session, new.tenant_id)
    issuer = tenants.issuer_of(session, tenant_id or PLATFORM_TENANT_ID).url
    row = AuthorizationServer(
        sid=new.sid,
        name=check_name(new.name),
        description=new.description,
        tenant_id=tenant_id,
        authorization_endpoint=new.authorization_endpoint or f"{issuer}/connect/authorize",
        token_endpoint=new.token_endpoint or f"{issuer}/connect/token",
        client_registration_endpoint=new.client_registration_endpoint,
        default_scope=new.default_scope,
        client_id=new.client_id,
        grant_types=list(new.grant_types),
    )
    _insert(session, row, "An authorization server with this id already exists.")
    _note(session, new.tenant_id, f"authorization-server:{new.sid}", "added")
    return row


def remove_server(session: Session, sid: str) -> None:
    """Remove an authorization server that no publication names any more.

    Without it the scope that it requires would no longer be required.
    """
    row = session.scalar(select(AuthorizationServer).where(AuthorizationServer.sid == sid))
    if row is None:
        raise NotFound(N_("Authorization server not found."))
    used = session.scalars(
        select(Publication.suffix).where(
            or_(Publication.authorization_server == sid, Publication.openid == sid)
        )
    ).all()
    if used:
        raise Conflict(filled(N_("Still used by publications: %(used)s."), used=", ".join(used)))
    session.delete(row)
    session.flush()
    _note(session, row.tenant_id, f"authorization-server:{sid}", "removed")


def list_subscriptions(
    session: Session, pids: Collection[str] | None = None
) -> list[tuple[str, str]]:
    """List products with the clients that may use them; None: all products."""
    query = (
        select(Product.pid, Client.client_id)
        .join(ProductSubscription, ProductSubscription.product_id == Product.id)
        .join(Client, Client.id == ProductSubscription.client_id)
        .order_by(Product.pid, Client.client_id)
    )
    if pids is not None:
        query = query.where(Product.pid.in_(pids))
    return [(row.pid, row.client_id) for row in session.execute(query)]


def subscribe(session: Session, pid: str, client_id: str) -> Subscribed:
    """Subscribe a client to a product, within its limit; repeating it is not an error."""
    product = get_product(session, pid, lock=True)
    client = _get_client(session, client_id)
    if product.tenant_id is not None and client.tenant_id not in {None, product.tenant_id}:
        message = N_("The client and the product belong to different tenants.")
        raise BadRequest.at("client", message)
    row = session.scalar(_subscription(product, client))
    if row is not None:
        return _describe(row, client_id)
    count = session.scalar(
        select(func.count())
        .select_from(ProductSubscription)
        .where(ProductSubscription.product_id == product.id)
    )
    if product.subscriptions_limit is not None and (count or 0) >= product.subscriptions_limit:
        message = N_("The product has reached its limit of subscriptions.")
        raise Conflict.at("product", message)
    row = ProductSubscription(product_id=product.id, client_id=client.id)
    _insert(session, row, N_("This client was subscribed at the same time. Try again."))
    _note(session, product.tenant_id, f"product:{pid}", "subscribed", client_id)
    return _describe(row, client_id)


def select_subscriptions(product: Product) -> Select[ProductSubscription]:
    """Select the subscriptions to a product; their clients are joined."""
    return (
        select(ProductSubscription)
        .join(Client, Client.id == ProductSubscription.client_id)
        .where(ProductSubscription.product_id == product.id)
    )


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscription of a client, with the id of the client."""

    id: int
    client: str
    is_suspended: bool
    created_at: datetime


def page_of_subscriptions(
    session: Session, pid: str, after: int, limit: int
) -> Sequence[Subscribed]:
    """Return a page of the subscriptions to a product, by the ids of their rows."""
    query = _subscribed(get_product(session, pid)).where(ProductSubscription.id > after)
    rows = session.execute(query.order_by(ProductSubscription.id).limit(limit))
    return [Subscribed(*row) for row in rows]


def find_subscribed(session: Session, pid: str, row_id: int) -> Subscribed:
    """Return a subscription to a product by the id of its row."""
    query = _subscribed(get_product(session, pid))
    row = session.execute(query.where(ProductSubscription.id == min(row_id, INT64_MAX))).first()
    if row is None:
        raise NotFound(N_("The client is not subscribed to this product."))
    return Subscribed(*row)


def _subscribed(product: Product) -> Select[int, str, bool, datetime]:
    return (
        select(
            ProductSubscription.id,
            Client.client_id,
            ProductSubscription.is_suspended,
            ProductSubscription.created_at,
        )
        .join(Client, Client.id == ProductSubscription.client_id)
        .where(ProductSubscription.product_id == product.id)
    )


def get_subscription(
    session: Session, pid: str, client_id: str, *, lock: bool = False
) -> ProductSubscription:
    """Return the subscription of a client to a product."""
    product, client = get_product(session, pid), _get_client(session, client_id)
    query = _subscription(product, client)
    row = session.scalar(_locking(query) if lock else query)
    if row is None:
        raise NotFound(N_("The client is not subscribed to this product."))
    return row


def suspend(session: Session, pid: str, client_id: str, *, ends: bool = False) -> bool:
    """Suspend a subscription, or end its suspension; return whether it was otherwise before."""
    row = get_subscription(session, pid, client_id)
    flip = update(ProductSubscription).where(
        ProductSubscription.id == row.id, ProductSubscription.is_suspended.is_(ends)
    )
    if not count_hits(session, flip.values(is_suspended=not ends)):
        return False
    bump_configuration(session)
    session.refresh(row)
    product = get_product(session, pid)
    action = "resumed" if ends else "suspended"
    _note(session, product.tenant_id, f"product:{pid}", action, client_id)
    return True


def unsubscribe(session: Session, pid: str, client_id: str, check: Check = any_state) -> None:
    """End the subscription of a client to a product; `check` as for a product."""
    row = get_subscription(session, pid, client_id, lock=True)
    check(_describe(row, client_id))
    product = get_product(session, pid)
    session.delete(row)
    session.flush()
    _note(session, product.tenant_id, f"product:{pid}", "unsubscribed", client_id)


def list_upstreams(session: Session, tenant_id: int | None = None) -> Sequence[Upstream]:
    """List the upstreams of a tenant; None: of all."""
    query = select(Upstream).order_by(Upstream.tenant_id, Upstream.url)
    if tenant_id is not None:
        query = query.where(Upstream.tenant_id == tenant_id)
    return session.scalars(query).all()


def select_upstreams() -> Select[Upstream]:
    """Select the upstreams of all tenants."""
    return select(Upstream)


def get_upstream(session: Session, row_id: int) -> Upstream:
    """Return an upstream by the id of its row."""
    row = session.get(Upstream, row_id) if 0 < row_id <= INT64_MAX else None
    if row is None:
        raise NotFound(N_("The address is not on the list."))
    return row


def closed_without(session: Session, upstream: Upstream) -> list[str]:
    """List the suffixes of what is published at an address and at no other one of the list."""
    others = [
        row.url for row in list_upstreams(session, upstream.tenant_id) if row.id != upstream.id
    ]
    owner = func.coalesce(ApiResource.tenant_id, PLATFORM_TENANT_ID)
    query = (
        select(Publication.suffix, PublicationRevision.upstream)
        .join(PublicationVersion, PublicationVersion.publication_id == Publication.id)
        .join(PublicationRevision, PublicationRevision.version_id == PublicationVersion.id)
        .join(ApiResource, ApiResource.id == Publication.api_resource_id)
        .where(PublicationRevision.is_current, owner == upstream.tenant_id)
        .order_by(Publication.suffix)
    )
    suffixes = [
        row.suffix
        for row in session.execute(query)
        if choose([row.upstream], [upstream.url]) and not choose([row.upstream], others)
    ]
    return list(dict.fromkeys(suffixes))


def allow_upstream(session: Session, tenant_id: int, url: str) -> Upstream:
    """Allow an address and the paths below it as upstream of a tenant; repeating is no error."""
    _check_tenant(session, tenant_id)
    checked = check_upstream(url)
    row = session.scalar(_upstream(tenant_id, checked))
    if row is None:
        row = Upstream(tenant_id=tenant_id, url=checked)
        _insert(session, row, N_("This address was added at the same time. Try again."))
        _note(session, tenant_id, f"upstream:{checked}", "added")
    return row


def forbid_upstream(session: Session, tenant_id: int, url: str, check: Check = any_state) -> None:
    """Remove an address from the list; APIs that are published there can no longer be called."""
    address = Address.parse(url)
    row = address and session.scalar(_locking(_upstream(tenant_id, address.url)))
    if not row:
        raise NotFound(N_("The address is not on the list."))
    check(row)
    session.delete(row)
    session.flush()
    _note(session, tenant_id, f"upstream:{row.url}", "removed")


def clients_of(session: Session, rows: Collection[ProductSubscription]) -> dict[int, Client]:
    """Return the clients of subscriptions, by the ids of their rows."""
    query = select(Client).where(Client.id.in_({row.client_id for row in rows}))
    return {client.id: client for client in session.scalars(query.options(raiseload("*")))}


def _subscription(product: Product, client: Client) -> Select[ProductSubscription]:
    return select(ProductSubscription).where(
        ProductSubscription.product_id == product.id, ProductSubscription.client_id == client.id
    )


def _upstream(tenant_id: int, url: str) -> Select[Upstream]:
    """Select an upstream of a tenant by its address in normal form."""
    return select(Upstream).where(Upstream.tenant_id == tenant_id, Upstream.url == url)


def _locking(query: Select[Row]) -> Select[Row]:
    """Lock the row that a query finds, and read it as it is by then."""
    return query.with_for_update().execution_options(populate_existing=True)


def _describe(row: ProductSubscription, client_id: str) -> Subscribed:
    return Subscribed(row.id, client_id, row.is_suspended, row.created_at)


def _get_client(session: Session, client_id: str) -> Client:
    row = session.scalar(select(Client).where(Client.client_id == client_id))
    if row is None:
        raise NotFound.at("client", N_("Client not found."))
    return row


def _check_tenant(session: Session, tenant_id: int | None) -> int | None:
    if tenant_id is not None and session.get(Tenant, tenant_id) is None:
        raise NotFound(N_("Tenant not found."))
    return tenant_id


def _check_id(field: str, text: str) -> None:
    if not _ID.fullmatch(text):
        message = N_("The id must have up to 80 letters, digits, hyphens and underscores.")
        raise BadRequest.at(field, message)


def _insert(session: Session, row: object, message: str) -> None:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise Conflict(message) from None


def _note(
    session: Session,
    tenant_id: int | None,
    target: str,
    action: str,
    client_id: str | None = None,
) -> None:
    details = {"action": action}
    if client_id is not None:
        details["client"] = client_id
    audit.record(session, Tag.GATEWAY_CHANGED, tenant_id=tenant_id, target=target, details=details)
