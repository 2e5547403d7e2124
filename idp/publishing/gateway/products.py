"""What the operator manages: products and subscriptions, authorization servers, upstreams."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.clients.models import Client
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.publishing.gateway.models import (
    AuthorizationServer,
    Product,
    ProductSubscription,
    Publication,
    PublicationVersion,
    Upstream,
)
from idp.publishing.gateway.upstreams import Address

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "client_registration_endpoint")
"""Of an authorization server."""

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


def check_name(name: str) -> str:
    """Return the name of a product or an authorization server in its stored form."""
    if not name.strip() or len(name) > 200 or not name.isprintable():  # noqa: PLR2004 - the column
        raise BadRequest.at("name", "The name must have 1 to 200 printable characters.")
    return name.strip()


def check_endpoints(given: Mapping[str, str | None]) -> None:
    """Refuse endpoints of an authorization server that are not addresses, by field."""
    for field, url in given.items():
        if url is not None and not _ENDPOINT.fullmatch(url):
            message = "An endpoint must be http(s)://host[:port]/path, without a fragment."
            raise BadRequest.at(field, message)


def check_upstream(url: str) -> str:
    """Return the address of an upstream in its normal form."""
    address = Address.parse(url)
    if address is None:
        message = "An upstream must be http(s)://host[:port][/path]."
        raise BadRequest.at("url", message)
    return address.url


def list_products(session: Session, tenant_id: int | None = None) -> Sequence[Product]:
    """List the products that a tenant may use; None: all."""
    query = select(Product).order_by(Product.id)
    if tenant_id is not None:
        query = query.where(or_(Product.tenant_id.is_(None), Product.tenant_id == tenant_id))
    return session.scalars(query).all()


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
    _insert(session, row, "A product with this id already exists.")
    _note(session, new.tenant_id, f"product:{new.pid}", "added")
    return row


def remove_product(session: Session, pid: str) -> None:
    """Remove a product that no version lists any more."""
    row = get_product(session, pid)
    used = [
        version.aid
        for version in session.scalars(select(PublicationVersion))
        if pid in version.product_ids
    ]
    if used:
        raise Conflict(f"Still used by publications: {', '.join(used)}.")
    session.delete(row)
    session.flush()
    _note(session, row.tenant_id, f"product:{pid}", "removed")


def get_product(session: Session, pid: str) -> Product:
    """Return a product by id."""
    row = session.scalar(select(Product).where(Product.pid == pid))
    if row is None:
        raise NotFound.at("product", "Product not found.")
    return row


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
        raise NotFound("Authorization server not found.")
    used = session.scalars(
        select(Publication.suffix).where(
            or_(Publication.authorization_server == sid, Publication.openid == sid)
        )
    ).all()
    if used:
        raise Conflict(f"Still used by publications: {', '.join(used)}.")
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


def subscribe(session: Session, pid: str, client_id: str) -> None:
    """Subscribe a client to a product, within its limit; repeating it is not an error."""
    product = get_product(session, pid)
    client = _get_client(session, client_id)
    if product.tenant_id is not None and client.tenant_id not in {None, product.tenant_id}:
        message = "The client and the product belong to different tenants."
        raise BadRequest.at("client", message)
    if session.scalar(_subscription(product, client)) is not None:
        return
    count = session.scalar(
        select(func.count())
        .select_from(ProductSubscription)
        .where(ProductSubscription.product_id == product.id)
    )
    if product.subscriptions_limit is not None and (count or 0) >= product.subscriptions_limit:
        message = "The product has reached its limit of subscriptions."
        raise Conflict.at("product", message)
    row = ProductSubscription(product_id=product.id, client_id=client.id)
    _insert(session, row, "This client was subscribed at the same time. Try again.")
    _note(session, product.tenant_id, f"product:{pid}", "subscribed", client_id)


def unsubscribe(session: Session, pid: str, client_id: str) -> None:
    """End the subscription of a client to a product."""
    product = get_product(session, pid)
    row = session.scalar(_subscription(product, _get_client(session, client_id)))
    if row is None:
        raise NotFound("The client is not subscribed to this product.")
    session.delete(row)
    session.flush()
    _note(session, product.tenant_id, f"product:{pid}", "unsubscribed", client_id)


def list_upstreams(session: Session, tenant_id: int | None = None) -> Sequence[Upstream]:
    """List the upstreams of a tenant; None: of all."""
    query = select(Upstream).order_by(Upstream.tenant_id, Upstream.url)
    if tenant_id is not None:
        query = query.where(Upstream.tenant_id == tenant_id)
    return session.scalars(query).all()


def allow_upstream(session: Session, tenant_id: int, url: str) -> str:
    """Allow an address and the paths below it as upstream of a tenant; repeating is no error."""
    _check_tenant(session, tenant_id)
    checked = check_upstream(url)
    known = select(Upstream).where(Upstream.tenant_id == tenant_id, Upstream.url == checked)
    if session.scalar(known) is None:
        row = Upstream(tenant_id=tenant_id, url=checked)
        _insert(session, row, "This address was added at the same time. Try again.")
        _note(session, tenant_id, f"upstream:{checked}", "added")
    return checked


def forbid_upstream(session: Session, tenant_id: int, url: str) -> None:
    """Remove an address from the list; APIs that are published there can no longer be called."""
    address = Address.parse(url)
    row = address and session.scalar(
        select(Upstream).where(Upstream.tenant_id == tenant_id, Upstream.url == address.url)
    )
    if not row:
        raise NotFound("The address is not on the list.")
    session.delete(row)
    session.flush()
    _note(session, tenant_id, f"upstream:{row.url}", "removed")


def _subscription(product: Product, client: Client) -> Select[ProductSubscription]:
    return select(ProductSubscription).where(
        ProductSubscription.product_id == product.id, ProductSubscription.client_id == client.id
    )


def _get_client(session: Session, client_id: str) -> Client:
    row = session.scalar(select(Client).where(Client.client_id == client_id))
    if row is None:
        raise NotFound.at("client", "Client not found.")
    return row


def _check_tenant(session: Session, tenant_id: int | None) -> int | None:
    if tenant_id is not None and session.get(Tenant, tenant_id) is None:
        raise NotFound("Tenant not found.")
    return tenant_id


def _check_id(field: str, text: str) -> None:
    if not _ID.fullmatch(text):
        message = "The id must have up to 80 letters, digits, hyphens and underscores."
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
