"""What the platform decides about the gateway: products, subscriptions, upstreams, differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from idp.api.actor import platform
from idp.api.admin.dialect import (
    AdminShape,
    Page,
    Paging,
    admin,
    matching,
    page,
    page_of,
    row_id,
)
from idp.directory.scopes import Scope
from idp.platform.integers import INT32_MAX
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, boolean, int64, text
from idp.publishing.gateway import products
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.models import Product, Upstream
from idp.publishing.gateway.products import NewProduct, Subscribed

PRODUCTS, UPSTREAMS = "/gateway/products", "/gateway/upstreams"
PRODUCT_PATH = f"{PRODUCTS}/<product>"
SUBSCRIPTIONS = f"{PRODUCT_PATH}/subscriptions"
SUBSCRIPTION_PATH = f"{SUBSCRIPTIONS}/<int:id>"
READ, WRITE = Scope.ADMIN_GATEWAY_READ, Scope.ADMIN_GATEWAY_WRITE
LONGEST_ID, LONGEST_NAME, LONGEST_TEXT, LONGEST_URL = 80, 200, 20_000, 500


def _limit(**options: Any) -> fields.Integer:
    return fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, INT32_MAX),
        metadata={"format": "int32"},
        **options,
    )


class ProductChangeShape(AdminShape):
    """What changes of a product."""

    schema_name = "ProductChange"

    name = text(LONGEST_NAME, minimum=1)
    description = text(LONGEST_TEXT, allow_none=True)
    terms = text(LONGEST_TEXT, allow_none=True)
    scope = text(LONGEST_NAME, allow_none=True)
    subscription_required = boolean()
    subscriptions_limit = _limit()
    published = boolean(attribute="is_published")


class ProductShape(AdminShape):
    """A product of the gateway."""

    schema_name = "Product"

    id = text(attribute="pid")
    tenant = int64(attribute="tenant_id", allow_none=True)
    name = text()
    description = text(allow_none=True)
    terms = text(allow_none=True)
    scope = text(allow_none=True)
    subscription_required = boolean()
    subscriptions_limit = _limit()
    published = boolean(attribute="is_published")


class NewProductShape(AdminShape):
    """A product to be added."""

    schema_name = "NewProduct"

    id = text(LONGEST_ID, minimum=1, attribute="pid", required=True)
    tenant = row_id(attribute="tenant_id", allow_none=True, load_default=None)
    name = text(LONGEST_NAME, minimum=1, required=True)
    description = text(LONGEST_TEXT, allow_none=True, load_default=None)
    terms = text(LONGEST_TEXT, allow_none=True, load_default=None)
    scope = text(LONGEST_NAME, allow_none=True, load_default=None)
    subscription_required = boolean(load_default=True)
    subscriptions_limit = _limit(load_default=None)
    published = boolean(attribute="is_published", load_default=True)


class SubscriptionShape(AdminShape):
    """A client that may use a product."""

    schema_name = "ProductSubscription"

    id = int64()
    client = text()
    suspended = boolean(attribute="is_suspended")
    created_at = Moment()


class SubscribeShape(AdminShape):
    """The client that is to use a product."""

    schema_name = "NewProductSubscription"

    client = text(LONGEST_NAME, minimum=1, required=True)


class UpstreamShape(AdminShape):
    """An address that calls may go to."""

    schema_name = "Upstream"

    id = int64()
    tenant = int64(attribute="tenant_id")
    url = text()


class NewUpstreamShape(AdminShape):
    """An address to be allowed."""

    schema_name = "NewUpstream"

    tenant = row_id(attribute="tenant_id", required=True)
    url = text(LONGEST_URL, minimum=1, required=True)


class DifferenceShape(AdminShape):
    """Something in which the gateway differs from the tables."""

    schema_name = "Difference"

    name = text()
    drift = text(attribute="drift.value")
    api = int64(attribute="api_id", allow_none=True)


class ComparisonShape(AdminShape):
    """The gateway beside the tables."""

    schema_name = "Comparison"

    gateway = text()
    differences = fields.List(fields.Nested(DifferenceShape), allow_none=True)


class ListQuery(Paging):
    """Where the list goes on."""

    after = row_id(minimum=0, load_default=0)


PRODUCT, SUBSCRIPTION, UPSTREAM = ProductShape(), SubscriptionShape(), UpstreamShape()


@admin.operation(
    "gateway-product-list",
    "GET",
    PRODUCTS,
    scope=READ,
    tenant=platform,
    query=ListQuery(),
    result=PRODUCT,
    form="page",
)
def list_products(query: Mapping[str, Any]) -> Page:
    """List products."""
    return page_of(products.select_products(), Product, query)


@admin.operation(
    "gateway-product-create",
    "POST",
    PRODUCTS,
    scope=WRITE,
    tenant=platform,
    body=NewProductShape(),
    result=PRODUCT,
    location=f"{PRODUCTS}/{{id}}",
)
def create_product(body: Mapping[str, Any]) -> Product:
    """Add a product."""
    made = products.add_product(database(), NewProduct(**body))
    database().commit()
    return made


@admin.operation(
    "gateway-product-get", "GET", PRODUCT_PATH, scope=READ, tenant=platform, result=PRODUCT
)
def read_product(product: str) -> Product:
    """Read a product."""
    return products.get_product(database(), product)


@admin.operation(
    "gateway-product-change",
    "PATCH",
    PRODUCT_PATH,
    scope=WRITE,
    tenant=platform,
    body=ProductChangeShape(),
    result=PRODUCT,
)
def change_product(product: str, body: Mapping[str, Any], stamp: str | None) -> Product:
    """Change what a product asks of clients."""
    changed = products.change_product(database(), product, body, matching(PRODUCT, stamp))
    database().commit()
    return changed


@admin.operation(
    "gateway-product-remove", "DELETE", PRODUCT_PATH, scope=WRITE, tenant=platform, form="empty"
)
def remove_product(product: str, stamp: str | None) -> None:
    """Remove a product that no version is in."""
    products.remove_product(database(), product, matching(PRODUCT, stamp))
    database().commit()


@admin.operation(
    "gateway-subscription-list",
    "GET",
    SUBSCRIPTIONS,
    scope=READ,
    tenant=platform,
    query=ListQuery(),
    result=SUBSCRIPTION,
    form="page",
)
def list_subscriptions(product: str, query: Mapping[str, Any]) -> Page:
    """List the clients that may use a product."""
    found = products.page_of_subscriptions(database(), product, query["after"], query["limit"] + 1)
    return page(found, query["limit"], lambda row: row.id)


@admin.operation(
    "gateway-subscription-add",
    "POST",
    SUBSCRIPTIONS,
    scope=WRITE,
    tenant=platform,
    body=SubscribeShape(),
    result=SUBSCRIPTION,
    location=f"{PRODUCTS}/{{product}}/subscriptions/{{id}}",
)
def subscribe(product: str, body: Mapping[str, str]) -> Subscribed:
    """Subscribe a client to a product."""
    made = products.subscribe(database(), product, body["client"])
    database().commit()
    return made


@admin.operation(
    "gateway-subscription-get",
    "GET",
    SUBSCRIPTION_PATH,
    scope=READ,
    tenant=platform,
    result=SUBSCRIPTION,
)
def read_subscription(product: str, id: int) -> Subscribed:
    """Read the subscription of a client."""
    return products.find_subscribed(database(), product, id)


@admin.operation(
    "gateway-subscription-suspend",
    "POST",
    f"{SUBSCRIPTION_PATH}/suspend",
    scope=WRITE,
    tenant=platform,
    result=SUBSCRIPTION,
)
def suspend(product: str, id: int) -> Subscribed:
    """Suspend a subscription: calls of the client are refused."""
    return _set_suspended(product, id, ends=False)


@admin.operation(
    "gateway-subscription-resume",
    "POST",
    f"{SUBSCRIPTION_PATH}/resume",
    scope=WRITE,
    tenant=platform,
    result=SUBSCRIPTION,
)
def resume(product: str, id: int) -> Subscribed:
    """End the suspension of a subscription."""
    return _set_suspended(product, id, ends=True)


@admin.operation(
    "gateway-subscription-remove",
    "DELETE",
    SUBSCRIPTION_PATH,
    scope=WRITE,
    tenant=platform,
    form="empty",
)
def unsubscribe(product: str, id: int, stamp: str | None) -> None:
    """End a subscription."""
    row = products.find_subscribed(database(), product, id)
    products.unsubscribe(database(), product, row.client, matching(SUBSCRIPTION, stamp))
    database().commit()


@admin.operation(
    "gateway-upstream-list",
    "GET",
    UPSTREAMS,
    scope=READ,
    tenant=platform,
    query=ListQuery(),
    result=UPSTREAM,
    form="page",
)
def list_upstreams(query: Mapping[str, Any]) -> Page:
    """List the addresses that calls may go to."""
    return page_of(products.select_upstreams(), Upstream, query)


@admin.operation(
    "gateway-upstream-allow",
    "POST",
    UPSTREAMS,
    scope=WRITE,
    tenant=platform,
    body=NewUpstreamShape(),
    result=UPSTREAM,
    location=f"{UPSTREAMS}/{{id}}",
)
def allow_upstream(body: Mapping[str, Any]) -> Upstream:
    """Allow an address and every path below it."""
    made = products.allow_upstream(database(), body["tenant_id"], body["url"])
    database().commit()
    return made


@admin.operation(
    "gateway-upstream-get",
    "GET",
    f"{UPSTREAMS}/<int:id>",
    scope=READ,
    tenant=platform,
    result=UPSTREAM,
)
def read_upstream(id: int) -> Upstream:
    """Read an address."""
    return products.get_upstream(database(), id)


@admin.operation(
    "gateway-upstream-remove",
    "DELETE",
    f"{UPSTREAMS}/<int:id>",
    scope=WRITE,
    tenant=platform,
    form="empty",
)
def remove_upstream(id: int, stamp: str | None) -> None:
    """Remove an address; what is published there can no longer be called."""
    row = products.get_upstream(database(), id)
    products.forbid_upstream(database(), row.tenant_id, row.url, matching(UPSTREAM, stamp))
    database().commit()


@admin.operation(
    "gateway-differences",
    "GET",
    "/gateway/differences",
    scope=READ,
    tenant=platform,
    result=ComparisonShape(),
)
def differences() -> Mapping[str, Any]:
    """Compare the gateway with the tables."""
    found = publications.compare_all(database())
    return {"gateway": publications.kind(database()), "differences": found}


def _set_suspended(product: str, id: int, *, ends: bool) -> Subscribed:
    row = products.find_subscribed(database(), product, id)
    products.suspend(database(), product, row.client, ends=ends)
    changed = products.find_subscribed(database(), product, id)
    database().commit()
    return changed
