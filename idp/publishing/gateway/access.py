"""Who may call what is published: audience, scope, product, and the quotas of the tenant."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from idp.directory.bundles import service as bundles
from idp.directory.resources.models import ApiResource
from idp.directory.tenants.service import PLATFORM
from idp.platform import clock, runtime
from idp.platform.errors import Forbidden, InvalidToken, NotFound, TooManyRequests
from idp.publishing.gateway import tables
from idp.publishing.gateway.models import (
    AuthorizationServer,
    Product,
    Publication,
    PublicationRevision,
    PublicationVersion,
)
from idp.publishing.gateway.upstreams import choose

LONGEST_AID = 80
_MONTH_SECONDS = 32 * 86_400
"""How long the count of a calendar month is kept."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How often the applications of a tenant may call, all together; None: without limit."""

    per_second: int | None = None
    per_month: int | None = None


QuotasOf = Callable[[Session, int], Quotas]
"""Tells the quotas of a tenant; asked for every call, so it answers from a cache."""


def quotas_of_bundle(session: Session, tenant_id: int) -> Quotas:
    """Give the quotas of a tenant's bundle, from the cache; no bundle: no limit."""

    def load() -> Quotas:
        bundle = bundles.of_tenant(session, tenant_id)
        if bundle is None:
            return Quotas()
        return Quotas(bundle.number_of_concurrent, bundle.number_of_invocation)

    return runtime.of(session).cache.get(("gateway quotas", tenant_id), load)


@dataclass(frozen=True, slots=True)
class ProductView:
    """What a product asks of those who pass by it."""

    scope: str | None
    client_row_ids: frozenset[int] | None
    """Clients that subscribed; None: nobody needs to."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Everything that a version asks of its callers; no SQL stands behind it."""

    upstream: str
    """Key of the address that calls go to; see `Address.key`."""
    audience: str
    tenant_id: int | None
    scope: str | None
    needs_person: bool
    products: tuple[ProductView, ...] | None
    """One of them must let the call pass; None: the version is in no product."""


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Judges calls of published APIs by what their tokens say."""

    quotas_of: QuotasOf = quotas_of_bundle

    def __call__(
        self,
        session: Session,
        aid: str,
        *,
        audience: Collection[str],
        scopes: Collection[str],
        client_row_id: int,
        client_tenant_id: int | None,
        tenant_id: int | None,
        is_person: bool,
    ) -> str:
        """Let a call pass, count it and name its upstream, or refuse it."""
        rule = find(session, aid)
        if rule is None:
            raise NotFound("There is no such API")
        # An audience may also be an issuer's address; the name alone is not proof enough.
        if rule.audience not in audience or rule.tenant_id not in {None, client_tenant_id}:
            raise InvalidToken("The token is for another API")
        if rule.scope is not None and rule.scope not in scopes:
            raise _insufficient(rule.scope)
        if rule.needs_person and not is_person:
            raise Forbidden("This API needs a person who signed in")
        _check_products(rule.products, scopes, client_row_id)
        self._count(session, tenant_id or PLATFORM)
        return rule.upstream

    def _count(self, session: Session, tenant_id: int) -> None:
        """Count the call of a tenant; refused ones count neither here nor there."""
        quotas = self.quotas_of(session, tenant_id)
        throttle = runtime.of(session).throttle
        if quotas.per_second is not None:
            throttle.hit("gateway-second", str(tenant_id), quotas.per_second, 1)
        if quotas.per_month is None:
            return
        now = clock.now()
        key = f"{tenant_id} {now:%Y-%m}"
        try:
            throttle.hit("gateway-month", key, quotas.per_month, _MONTH_SECONDS)
        except TooManyRequests:
            later = now.replace(day=1, hour=0, minute=0, second=0) + timedelta(days=32)
            wait = int((later.replace(day=1) - now).total_seconds())
            message = "This month's calls are used up"
            raise TooManyRequests(wait, message) from None


def find(session: Session, aid: str) -> Rule | None:
    """Give the rule of an enabled version whose upstream is allowed, from the cache."""
    if not aid or len(aid) > LONGEST_AID or "\0" in aid:
        return None
    return runtime.of(session).cache.find(("gateway api", aid), lambda: _load(session, aid))


def _load(session: Session, aid: str) -> Rule | None:
    row = session.execute(
        select(
            PublicationVersion.product_ids,
            Publication.scope,
            Publication.authorization_server,
            Publication.openid,
            PublicationRevision.upstream,
            ApiResource.name,
            ApiResource.tenant_id,
        )
        .join(Publication, Publication.id == PublicationVersion.publication_id)
        .join(ApiResource, ApiResource.id == Publication.api_resource_id)
        .join(PublicationRevision, PublicationRevision.version_id == PublicationVersion.id)
        .where(PublicationVersion.aid == aid, PublicationRevision.is_current, ApiResource.enabled)
    ).one_or_none()
    if row is None:
        return None
    tenant_id = row.tenant_id or PLATFORM
    upstream = choose([row.upstream], tables.upstreams(session).get(tenant_id, []))
    if upstream is None:
        return None
    scope = row.scope
    if scope is None and row.authorization_server is not None:
        scope = session.scalar(
            select(AuthorizationServer.default_scope).where(
                AuthorizationServer.sid == row.authorization_server
            )
        )
    products = _products(session, row.product_ids, tenant_id) if row.product_ids else None
    needs_person = row.openid is not None
    return Rule(upstream.key, row.name, row.tenant_id, scope, needs_person, products)


def _products(session: Session, pids: Collection[str], tenant_id: int) -> tuple[ProductView, ...]:
    rows = session.scalars(
        select(Product)
        .where(
            Product.pid.in_(pids),
            Product.is_published,
            Product.tenant_id.is_(None) | (Product.tenant_id == tenant_id),
        )
        .options(selectinload(Product.subscriptions))
    )
    return tuple(
        ProductView(
            row.scope,
            frozenset(subscription.client_id for subscription in row.subscriptions)
            if row.subscription_required
            else None,
        )
        for row in rows
    )


def _check_products(
    products: tuple[ProductView, ...] | None, scopes: Collection[str], client_row_id: int
) -> None:
    if products is None:
        return
    open_to_client = [
        product
        for product in products
        if product.client_row_ids is None or client_row_id in product.client_row_ids
    ]
    if not open_to_client:
        raise Forbidden("The client has not subscribed to a product of this API")
    wanted = [product.scope for product in open_to_client]
    if not any(scope is None or scope in scopes for scope in wanted):
        raise _insufficient(" ".join(dict.fromkeys(filter(None, wanted))))


def _insufficient(scope: str) -> Forbidden:
    challenge = f'Bearer realm="idp", error="insufficient_scope", scope="{scope}"'
    headers = {"WWW-Authenticate": challenge}
    return Forbidden("The token lacks the scope of this API", headers=headers)
