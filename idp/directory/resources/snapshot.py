"""API scopes, APIs and identity resources as the protocol sees them: immutable and cached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from idp.directory.product import DPOP_REQUIRED
from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource
from idp.platform.cache import looked_up

LONGEST_NAME = 200


@dataclass(frozen=True)
class SecretView:
    """A stored shared secret."""

    row_id: int
    value_hash: str
    expires_at: datetime | None


@dataclass(frozen=True)
class ApiView:
    """An API: the audience of access tokens."""

    row_id: int
    name: str
    tenant_id: int | None
    user_claims: frozenset[str]
    permission_as_text: bool
    signing_alg: str | None
    dpop_required: bool
    """Whether its access tokens are bound to a key."""
    secrets: tuple[SecretView, ...]


@dataclass(frozen=True)
class ApiScopeView:
    """A scope of an API."""

    name: str
    display_name: str
    description: str | None
    required: bool
    emphasize: bool
    user_claims: frozenset[str]
    api: ApiView


@dataclass(frozen=True)
class IdentityView:
    """A scope that stands for claims about the person."""

    name: str
    display_name: str
    description: str | None
    required: bool
    emphasize: bool
    user_claims: frozenset[str]


@dataclass(frozen=True)
class Published:
    """What discovery shows of an issuer's resources."""

    scopes: tuple[str, ...]
    claims: tuple[str, ...]


def load_scopes(
    session: Session, names: Iterable[str], tenant_id: int | None
) -> tuple[dict[str, ApiScopeView], dict[str, IdentityView]]:
    """Read the enabled scopes of these names that belong to the platform or the tenant."""
    requested = list(names)
    apis: dict[int, ApiView] = {}
    scopes: dict[str, ApiScopeView] = {}
    rows = session.scalars(
        select(ApiScope)
        .join(ApiResource)
        .where(
            ApiScope.name.in_(requested),
            ApiResource.enabled,
            _in_reach(ApiResource.tenant_id, tenant_id),
        )
        .options(
            selectinload(ApiScope.user_claims),
            selectinload(ApiScope.api_resource).selectinload(ApiResource.user_claims),
            selectinload(ApiScope.api_resource).selectinload(ApiResource.properties),
            selectinload(ApiScope.api_resource).selectinload(ApiResource.secrets),
        )
        .order_by(ApiScope.id)
    )
    for row in rows:
        api = apis.setdefault(row.api_resource_id, _api_view(row.api_resource))
        scopes[row.name] = ApiScopeView(
            row.name,
            row.display_name or row.name,
            row.description,
            row.required,
            row.emphasize,
            frozenset(claim.type for claim in row.user_claims),
            api,
        )
    identities = session.scalars(
        select(IdentityResource)
        .where(
            IdentityResource.name.in_(requested),
            IdentityResource.enabled,
            _in_reach(IdentityResource.tenant_id, tenant_id),
        )
        .options(selectinload(IdentityResource.user_claims))
        .order_by(IdentityResource.id)
    )
    return scopes, {
        row.name: IdentityView(
            row.name,
            row.display_name or row.name,
            row.description,
            row.required,
            row.emphasize,
            frozenset(claim.type for claim in row.user_claims),
        )
        for row in identities
    }


def existing_scopes(session: Session, names: Iterable[str]) -> frozenset[str]:
    """Return which of these names are scopes of any API or identity resource, enabled or not."""
    requested = list(names)
    scopes = session.scalars(select(ApiScope.name).where(ApiScope.name.in_(requested)))
    identities = session.scalars(
        select(IdentityResource.name).where(IdentityResource.name.in_(requested))
    )
    return frozenset({*scopes, *identities})


@looked_up("api", longest=LONGEST_NAME)
def find_api(session: Session, name: str) -> ApiView | None:
    """Return an enabled API by name, from the cache if possible."""
    row = session.scalars(
        select(ApiResource)
        .where(ApiResource.name == name, ApiResource.enabled)
        .options(
            selectinload(ApiResource.user_claims),
            selectinload(ApiResource.properties),
            selectinload(ApiResource.secrets),
        )
    ).one_or_none()
    return None if row is None else _api_view(row)


def published(session: Session, tenant_id: int) -> Published:
    """Read the scopes and claims that an issuer's discovery document names."""
    reach = tenant_id
    identities = session.scalars(
        select(IdentityResource)
        .where(
            IdentityResource.enabled,
            IdentityResource.show_in_discovery_document,
            _in_reach(IdentityResource.tenant_id, reach),
        )
        .options(selectinload(IdentityResource.user_claims))
        .order_by(IdentityResource.id)
    ).all()
    scopes = session.scalars(
        select(ApiScope.name)
        .join(ApiResource)
        .where(
            ApiResource.enabled,
            ApiScope.show_in_discovery_document,
            _in_reach(ApiResource.tenant_id, reach),
        )
        .order_by(ApiScope.name)
    ).all()
    claims = {claim.type for row in identities for claim in row.user_claims}
    return Published(
        scopes=(*(row.name for row in identities), "offline_access", *scopes),
        claims=tuple(sorted(claims | {"sub"})),
    )


def _in_reach(column: Any, tenant_id: int | None) -> Any:
    if tenant_id is None:
        return column.is_(None)
    return or_(column.is_(None), column == tenant_id)


def _api_view(row: ApiResource) -> ApiView:
    properties = {item.key: item.value for item in row.properties}
    return ApiView(
        row.id,
        row.name,
        row.tenant_id,
        frozenset(claim.type for claim in row.user_claims),
        properties.get("permission_format") == "text",
        properties.get("signing_alg"),
        properties.get(DPOP_REQUIRED) == "true",
        tuple(SecretView(each.id, each.value_hash, each.expires_at) for each in row.secrets),
    )
