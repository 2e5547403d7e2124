"""Who may call what is published: audience, scope, product, and the quotas of the tenant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from idp.directory import api_names, levels
from idp.directory.bundles import service as bundles
from idp.directory.levels import SignIn
from idp.directory.product import DPOP_REQUIRED
from idp.directory.resources.models import ApiResource, ApiResourceProperty
from idp.platform import clock, runtime
from idp.platform.cache import Lookup, looked_up
from idp.platform.errors import (
    Forbidden,
    InsufficientUserAuthentication,
    InvalidToken,
    NotFound,
    TooManyRequests,
)
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.storage import Storage
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
    """Calls of all applications of a tenant together; None: no limit."""

    per_second: int | None = None
    per_month: int | None = None


@looked_up("gateway quotas")
def quotas_of_bundle(session: Session, tenant_id: int) -> Quotas:
    """Return the quotas of a tenant's bundle, from the cache; without a bundle: no limit."""
    bundle = bundles.of_tenant(session, tenant_id)
    if bundle is None:
        return Quotas()
    return Quotas(bundle.number_of_concurrent, bundle.number_of_invocation)


@dataclass(frozen=True, slots=True)
class ProductView:
    """The conditions of a product."""

    scope: str | None
    client_row_ids: frozenset[int] | None
    """Clients that subscribed; None: no subscription is needed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The conditions of a version, as plain values without a database."""

    upstream: str
    """Key of the address that calls go to; see `Address.key`."""
    audience: str
    tenant_id: int | None
    scope: str | None
    needs_person: bool
    products: tuple[ProductView, ...] | None
    """One of them must admit the call; None: the version is in no product."""
    challenge: Mapping[str, str]
    """What a refusal says of the API, for clients that want a token for it."""
    required_acr: str | None = None
    """Level that a person must have signed in with; None: any."""
    needs_proof: bool = False
    """Whether tokens must be bound to a key."""
    max_age: int | None = None
    """Seconds since a person signed in; None: any number."""


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Checks calls of published APIs by their tokens."""

    quotas_of: Lookup[..., Quotas] = quotas_of_bundle

    async def __call__(  # noqa: PLR0913 - each by its name
        self,
        storage: Storage,
        aid: str,
        *,
        audience: Collection[str],
        scopes: Collection[str],
        client_row_id: int,
        client_tenant_id: int | None,
        tenant_id: int | None,
        sign_in: SignIn | None,
        is_bound: bool,
    ) -> str:
        """Admit and count a call and name its upstream, or refuse it."""
        rule = await storage.look_up(find, aid) if aid else None
        if rule is None:
            raise NotFound("API not found")
        # An audience may also be an issuer's address; the name alone proves nothing.
        if rule.audience not in audience or rule.tenant_id not in {None, client_tenant_id}:
            raise InvalidToken("The token is for a different API")
        if rule.needs_proof and not is_bound:
            raise InvalidToken("This API requires a token that is bound to a key", headers=_DPOP)
        if rule.scope is not None and rule.scope not in scopes:
            raise _insufficient(rule.scope)
        if rule.needs_person and sign_in is None:
            raise Forbidden("This API requires a token of a user")
        if sign_in is not None:
            _check_sign_in(rule, sign_in)
        _check_products(rule.products, scopes, client_row_id)
        await self._count(storage, tenant_id or PLATFORM_TENANT_ID)
        return rule.upstream

    async def challenge(self, storage: Storage, aid: str) -> Mapping[str, str]:
        """Return what a refusal says of an API (RFC 9728 5.1, RFC 6750 3)."""
        rule = await storage.look_up(find, aid) if aid else None
        return {} if rule is None else rule.challenge

    async def _count(self, storage: Storage, tenant_id: int) -> None:
        """Count the call of a tenant; a refused call is not counted in either limit."""
        quotas = await storage.look_up(self.quotas_of, tenant_id)
        if quotas != Quotas():
            await storage.in_session(_hit, tenant_id, quotas)


def _hit(session: Session, tenant_id: int, quotas: Quotas) -> None:
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
        message = "The monthly limit of calls is reached"
        raise TooManyRequests(wait, message) from None


@looked_up("gateway api", longest=LONGEST_AID)
def find(session: Session, aid: str) -> Rule | None:
    """Return the rule of an enabled version whose upstream is allowed, from the cache."""
    row = session.execute(
        select(
            PublicationVersion.product_ids,
            Publication.scope,
            Publication.authorization_server,
            Publication.openid,
            PublicationRevision.upstream,
            ApiResource.id,
            ApiResource.name,
            ApiResource.tenant_id,
            ApiResource.default_scopes,
        )
        .join(Publication, Publication.id == PublicationVersion.publication_id)
        .join(ApiResource, ApiResource.id == Publication.api_resource_id)
        .join(PublicationRevision, PublicationRevision.version_id == PublicationVersion.id)
        .where(PublicationVersion.aid == aid, PublicationRevision.is_current, ApiResource.enabled)
    ).one_or_none()
    if row is None:
        return None
    tenant_id = row.tenant_id or PLATFORM_TENANT_ID
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
    return Rule(
        upstream.key,
        row.name,
        row.tenant_id,
        scope,
        row.openid is not None,
        products,
        _challenge(row.name, [*filter(None, [scope]), *(row.default_scopes or ())]),
        **_demands(session, row.id),
    )


def _challenge(name: str, scopes: Sequence[str]) -> Mapping[str, str]:
    url = api_names.metadata_url(name)
    found = {} if url is None else {"resource_metadata": url}
    return found | ({"scope": " ".join(dict.fromkeys(scopes))} if scopes else {})


def is_published(session: Session, api_row_id: int, suffix: str) -> bool:
    """Return whether an API is published; not where the suffix is that of another one."""
    query = select(Publication.api_resource_id).where(
        (Publication.api_resource_id == api_row_id) | (Publication.suffix_key == suffix.lower())
    )
    return session.scalars(query).all() == [api_row_id]


_DPOP = {"WWW-Authenticate": 'DPoP error="invalid_token"'}
"""Challenge of an API whose tokens are bound to a key (RFC 9449 7.1)."""


def _demands(session: Session, api_row_id: int) -> dict[str, Any]:
    """Return what an API demands of the sign-ins of people, and of tokens."""
    query = select(ApiResourceProperty).where(ApiResourceProperty.api_resource_id == api_row_id)
    properties = {row.key: row.value for row in session.scalars(query)}
    max_age = properties.get("max_age")
    return {
        "required_acr": properties.get("required_acr"),
        "needs_proof": properties.get(DPOP_REQUIRED) == "true",
        "max_age": None if max_age is None else int(max_age),
    }


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
            frozenset(
                subscription.client_id
                for subscription in row.subscriptions
                if not subscription.is_suspended
            )
            if row.subscription_required
            else None,
        )
        for row in rows
    )


def _check_sign_in(rule: Rule, sign_in: SignIn) -> None:
    """Ask for a sign-in of a higher level, or a younger one (RFC 9470 3)."""
    demands = {}
    if rule.required_acr is not None and not levels.satisfies(sign_in.acr, rule.required_acr):
        demands["acr_values"] = rule.required_acr
    if rule.max_age is not None and sign_in.auth_time + rule.max_age < clock.timestamp():
        demands["max_age"] = str(rule.max_age)
    if demands:
        raise InsufficientUserAuthentication(demands)


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
    required = [product.scope for product in open_to_client]
    if not any(scope is None or scope in scopes for scope in required):
        raise _insufficient(" ".join(dict.fromkeys(filter(None, required))))


def _insufficient(scope: str) -> Forbidden:
    challenge = f'Bearer realm="idp", error="insufficient_scope", scope="{scope}"'
    headers = {"WWW-Authenticate": challenge}
    return Forbidden("The token lacks the scope of this API", headers=headers)
