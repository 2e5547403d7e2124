"""API scopes, APIs and identity resources as the protocol sees them: immutable and cached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from idp.directory import api_names, child_texts
from idp.directory.product import DPOP_REQUIRED
from idp.directory.resources.models import (
    ApiResource,
    ApiResourceClaim,
    ApiResourceProperty,
    ApiScope,
    ApiScopeClaim,
    ApiSecret,
    IdentityResource,
    IdentityResourceClaim,
)
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
    identity: str
    """Equal for all spellings of the name."""
    tenant_id: int | None
    user_claims: frozenset[str]
    permission_as_text: bool
    signing_alg: str | None
    dpop_required: bool
    """Whether its access tokens are bound to a key."""
    default_scopes: tuple[str, ...]
    """Its scopes that a request gets which names the API and no scope."""
    open_to_strangers: bool
    """Whether applications that nobody registered may ask for its scopes."""
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
    addresses: tuple[str, ...]
    """Those of APIs that applications may ask for which nobody registered."""


@dataclass(frozen=True)
class Described:
    """What its metadata says of an API."""

    api: ApiView
    title: str | None
    scopes: tuple[str, ...]
    """Those that discovery shows, sorted."""


_API = (
    ApiResource.id.label("api_id"),
    ApiResource.name.label("api_name"),
    ApiResource.tenant_id.label("api_tenant_id"),
    ApiResource.default_scopes.label("api_default_scopes"),
    ApiResource.open_to_strangers.label("api_open_to_strangers"),
)
_TEXTS = child_texts.select(
    api_properties=(
        ApiResourceProperty.api_resource_id,
        ApiResourceProperty.key,
        ApiResourceProperty.value,
    ),
    api_claims=(ApiResourceClaim.api_resource_id, ApiResourceClaim.type),
    scope_claims=(ApiScopeClaim.api_scope_id, ApiScopeClaim.type),
    identity_claims=(IdentityResourceClaim.identity_resource_id, IdentityResourceClaim.type),
)


def load_scopes(
    session: Session, names: Iterable[str], tenant_id: int | None
) -> tuple[dict[str, ApiScopeView], dict[str, IdentityView]]:
    """Read the enabled scopes of these names that belong to the platform or the tenant."""
    requested = list(names)
    scopes = session.execute(
        select(*_columns(ApiScope), *_API)
        .join(ApiResource)
        .where(
            ApiScope.name.in_(requested),
            ApiResource.enabled,
            _in_reach(ApiResource.tenant_id, tenant_id),
        )
        .order_by(ApiScope.id)
    ).all()
    identities = session.execute(
        select(*_columns(IdentityResource))
        .where(
            IdentityResource.name.in_(requested),
            IdentityResource.enabled,
            _in_reach(IdentityResource.tenant_id, tenant_id),
        )
        .order_by(IdentityResource.id)
    ).all()
    if not scopes and not identities:
        return {}, {}
    found = {row.api_id: row for row in scopes}
    texts = child_texts.read(
        session,
        _TEXTS,
        api_resource_id=found,
        api_scope_id=[row.id for row in scopes],
        identity_resource_id=[row.id for row in identities],
    )
    apis = _api_views(session, found, texts)
    return (
        {
            row.name: ApiScopeView(
                *_shown(row), _types(texts, "scope_claims", row.id), apis[row.api_id]
            )
            for row in scopes
        },
        {
            row.name: IdentityView(*_shown(row), _types(texts, "identity_claims", row.id))
            for row in identities
        },
    )


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
    row = session.execute(
        select(*_API).where(ApiResource.name == name, ApiResource.enabled)
    ).one_or_none()
    if row is None:
        return None
    texts = child_texts.read(
        session, _TEXTS, api_resource_id=[row.api_id], api_scope_id=(), identity_resource_id=()
    )
    return _api_views(session, {row.api_id: row}, texts)[row.api_id]


def describe(session: Session, name: str) -> Described | None:
    """Read what metadata says of an enabled API, named in any spelling."""
    found = api_names.find_equal(session, ApiResource.name, [name], ApiResource.enabled)
    api = None if found is None else find_api(session, found)
    if api is None:
        return None
    title = session.scalar(select(ApiResource.display_name).where(ApiResource.id == api.row_id))
    scopes = session.scalars(
        select(ApiScope.name)
        .where(ApiScope.api_resource_id == api.row_id, ApiScope.show_in_discovery_document)
        .order_by(ApiScope.name)
    )
    return Described(api, title, tuple(scopes))


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
    names = session.scalars(
        select(ApiResource.name)
        .where(
            ApiResource.enabled,
            ApiResource.open_to_strangers,
            _in_reach(ApiResource.tenant_id, reach),
        )
        .order_by(ApiResource.name)
    )
    return Published(
        scopes=(*(row.name for row in identities), "offline_access", *scopes),
        claims=tuple(sorted(claims | {"sub"})),
        addresses=tuple(name for name in names if api_names.is_web_address(name)),
    )


def _shown(row: Any) -> tuple[str, str, str | None, bool, bool]:
    return (
        row.name,
        row.display_name or row.name,
        row.description,
        row.required,
        row.emphasize,
    )


def _types(texts: child_texts.Texts, kind: str, parent: int) -> frozenset[str]:
    return frozenset(text for text, _ in texts.get((kind, parent), ()))


def _columns(table: type[ApiScope | IdentityResource]) -> tuple[Any, ...]:
    return (
        table.id,
        table.name,
        table.display_name,
        table.description,
        table.required,
        table.emphasize,
    )


def _in_reach(column: Any, tenant_id: int | None) -> Any:
    if tenant_id is None:
        return column.is_(None)
    return or_(column.is_(None), column == tenant_id)


def secrets_of(
    session: Session, parent: Any, ids: Iterable[int]
) -> Mapping[int, tuple[SecretView, ...]]:
    """Return secrets by their parents; `parent` is the column that names those."""
    table = parent.class_
    found: dict[int, tuple[SecretView, ...]] = dict.fromkeys(ids, ())
    rows = session.execute(
        select(parent, table.id, table.value_hash, table.expires_at)
        .where(parent.in_(found))
        .order_by(table.id)
    )
    for owner, *fields in rows:
        found[owner] += (SecretView(*fields),)
    return found


def _api_views(
    session: Session, rows: Mapping[int, Any], texts: child_texts.Texts
) -> dict[int, ApiView]:
    """Return views of rows of APIs."""
    secrets = secrets_of(session, ApiSecret.api_resource_id, rows)
    views = {}
    for api_id, row in rows.items():
        properties = dict(texts.get(("api_properties", api_id), ()))
        views[api_id] = ApiView(
            api_id,
            row.api_name,
            api_names.identity(row.api_name),
            row.api_tenant_id,
            _types(texts, "api_claims", api_id),
            properties.get("permission_format") == "text",
            properties.get("signing_alg"),
            properties.get(DPOP_REQUIRED) == "true",
            tuple(row.api_default_scopes or ()),
            row.api_open_to_strangers,
            secrets[api_id],
        )
    return views
