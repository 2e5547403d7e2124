"""APIs with their scopes, secrets and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, or_, select
from sqlalchemy.orm import Session, raiseload, selectinload

from idp.directory import api_names
from idp.directory.actor import Actor
from idp.directory.product import MANAGEMENT_API
from idp.directory.resources import audited, rules
from idp.directory.resources.content import ApiSpec, PropertyRow, SecretRow
from idp.directory.resources.models import (
    ApiResource,
    ApiResourceOwner,
    ApiScope,
    ApiSecret,
    IdentityResource,
)
from idp.directory.resources.service import changes, writing
from idp.directory.resources.service.writing import NewScope
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.secrets import random_token
from idp.platform.translation import N_

_LISTS = {
    "scopes": selectinload(ApiResource.scopes).selectinload(ApiScope.user_claims),
    "secrets": selectinload(ApiResource.secrets),
    "user_claims": selectinload(ApiResource.user_claims),
    "properties": selectinload(ApiResource.properties),
}
_WHOLE = select(ApiResource).options(*_LISTS.values())


@dataclass(frozen=True, slots=True)
class NewApi:
    """An API as it is registered."""

    name: str
    display_name: str | None = None
    description: str | None = None
    tenant_id: int | None = None
    scopes: Sequence[NewScope] = ()
    user_claims: Sequence[str] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    default_scopes: Sequence[str] = ()
    open_to_strangers: bool = False
    owner_id: int | None = None


def create_api(session: Session, new: NewApi) -> ApiResource:
    """Create an API with its scopes."""
    content = ApiSpec(
        name=new.name,
        display_name=new.display_name,
        description=new.description,
        scopes=[writing.scope_row(scope) for scope in new.scopes],
        user_claims=writing.claim_rows(new.user_claims),
        properties=writing.property_rows(new.properties),
        default_scopes=new.default_scopes,
        open_to_strangers=new.open_to_strangers,
    )
    return _create(session, content, tenant_id=new.tenant_id, owner_id=new.owner_id)


def add_api(session: Session, actor: Actor, content: ApiSpec) -> ApiResource:
    """Create an API that the actor manages, with all its children."""
    return _create(session, content, tenant_id=actor.owner_tenant, owner_id=actor.person_id)


def _create(
    session: Session, content: ApiSpec, *, tenant_id: int | None, owner_id: int | None
) -> ApiResource:
    if content.id:
        raise BadRequest.at("id", N_("The server assigns the id of a new row; leave it out."))
    rules.lock_names(session)
    rules.check_api_name(session, content.name, tenant_id)
    api = ApiResource(tenant_id=tenant_id)
    writing.write_api(session, api, content)
    changes.insert(session, api)
    if owner_id is not None:
        session.add(ApiResourceOwner(user_id=owner_id, api_resource_id=api.id))
        session.flush()
    changes.record(session, api, Tag.API_RESOURCE_CREATED, {}, audited.of_api(api))
    return api


def find_api(session: Session, name: str) -> ApiResource | None:
    """Find an API, enabled or not, by name in any spelling."""
    found = api_names.find_equal(session, ApiResource.name, [name])
    return session.scalar(select(ApiResource).where(ApiResource.name == found))


def in_reach(actor: Actor) -> ColumnElement[bool]:
    """Return in SQL which APIs the actor manages."""
    owned = ApiResourceOwner.api_resource_id == ApiResource.id
    return actor.manages(ApiResource, ApiResourceOwner, owned)


def get_api(session: Session, actor: Actor, api_id: int) -> ApiResource:
    """Return an API in reach with all its children."""
    return changes.get(session, _WHOLE, ApiResource, api_id, in_reach(actor))


def select_apis(
    actor: Actor, *, name: str | None = None, load: Sequence[str] = ()
) -> Select[ApiResource]:
    """Select the APIs in reach; of their lists only those named by `load` are read."""
    query = select(ApiResource).where(in_reach(actor))
    if name is not None:
        query = query.where(ApiResource.name == name)
    return query.options(*(_LISTS[name] for name in load), raiseload("*"))


def replace_api(session: Session, actor: Actor, content: ApiSpec) -> ApiResource:
    """Replace an API in reach; rows that the lists leave out are removed."""
    api = changes.get(session, _WHOLE, ApiResource, content.id, in_reach(actor), lock=True)
    changes.check_stamp(api, content.concurrency_stamp)
    rules.lock_names(session)
    if content.name != api.name:
        _check_rename(session, api, content.name)
    if api.name == MANAGEMENT_API and not content.enabled:
        raise rules.built_in("enabled")
    before = audited.of_api(api)
    writing.write_api(session, api, content)
    session.flush()
    changes.note(session, api, Tag.API_RESOURCE_CHANGED, before, audited.of_api(api))
    return api


def change_api(
    session: Session, actor: Actor, api_id: int, stamp: str | None, **values: Any
) -> ApiResource:
    """Change fields of an API in reach; the others stay."""
    api = changes.get(session, _WHOLE, ApiResource, api_id, in_reach(actor), lock=True)
    return replace_api(session, actor, spec_of(api, stamp, **values))


def spec_of(api: ApiResource, stamp: str | None, **values: Any) -> ApiSpec:
    """Return an API as it is, with other values; its lists stay where none is given."""
    stored = ApiSpec(
        id=api.id,
        name=api.name,
        enabled=api.enabled,
        display_name=api.display_name,
        description=api.description,
        concurrency_stamp=stamp,
    )
    return replace(stored, **values)


def delete_api(session: Session, actor: Actor, api_id: int) -> int:
    """Delete an API in reach that no client and no privilege uses."""
    api = changes.get(session, _WHOLE, ApiResource, api_id, in_reach(actor), lock=True)
    if api.name == MANAGEMENT_API:
        raise rules.built_in("id")
    names = session.scalars(select(ApiScope.name).where(ApiScope.api_resource_id == api.id))
    rules.refuse_in_use(session, "id", names)
    rules.refuse_owning(session, api)
    before = audited.of_api(api)
    session.delete(api)
    session.flush()
    changes.record(session, api, Tag.API_RESOURCE_DELETED, before, {})
    return api.id


def published_scopes(session: Session, tenant_id: int | None) -> dict[str, list[ApiScope]]:
    """Return the scopes that discovery shows, by the name of their API; both sorted.

    Those of the platform and of a tenant; without a tenant those of all.
    """
    query = (
        select(ApiResource.name, ApiScope)
        .join(ApiScope.api_resource)
        .where(ApiResource.enabled, ApiScope.show_in_discovery_document)
        .order_by(ApiResource.name, ApiScope.name)
        .options(raiseload("*"))
    )
    if tenant_id is not None:
        query = query.where(
            or_(ApiResource.tenant_id.is_(None), ApiResource.tenant_id == tenant_id)
        )
    found: dict[str, list[ApiScope]] = {}
    for name, scope in session.execute(query):
        found.setdefault(name, []).append(scope)
    return found


def scopes_for_clients(
    session: Session, tenant_id: int | None
) -> dict[str, list[tuple[str, str | None]]]:
    """Return the scopes that clients of a tenant (None: of the platform) may have, by API.

    Each is a name and a title. Identity resources stand under an empty name.
    """
    apis = (
        select(ApiResource.name, ApiScope.name, ApiScope.display_name)
        .join(ApiScope.api_resource)
        .where(or_(ApiResource.tenant_id.is_(None), ApiResource.tenant_id == tenant_id))
        .order_by(ApiResource.name, ApiScope.name)
    )
    identities = (
        select(literal(""), IdentityResource.name, IdentityResource.display_name)
        .where(or_(IdentityResource.tenant_id.is_(None), IdentityResource.tenant_id == tenant_id))
        .order_by(IdentityResource.id)
    )
    found: dict[str, list[tuple[str, str | None]]] = {}
    for query in (identities, apis):
        for api, name, title in session.execute(query):
            found.setdefault(api, []).append((name, title))
    return found


def add_scope(session: Session, api: ApiResource, new: NewScope) -> ApiScope:
    """Add a scope to an API."""
    rules.lock_names(session)
    rules.check_scope_names(session, {"name": new.name}, api.tenant_id)
    before = audited.of_api(api)
    scope = ApiScope()
    writing.write_scope(session, scope, writing.scope_row(new), "scope")
    api.scopes.append(scope)
    rules.check_open(api)
    session.flush()
    changes.note(session, api, Tag.API_RESOURCE_CHANGED, before, audited.of_api(api))
    return scope


def add_secret(
    session: Session,
    api: ApiResource,
    value: str | None = None,
    *,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Add a secret for the introspection endpoint to an API, generated unless given."""
    before = audited.of_api(api)
    secret = random_token() if value is None else value
    row = ApiSecret()
    writing.write_secret(session, row, SecretRow(secret, description, expires_at), "secret")
    api.secrets.append(row)
    session.flush()
    changes.note(session, api, Tag.API_RESOURCE_CHANGED, before, audited.of_api(api))
    return secret


def set_properties(session: Session, api: ApiResource, values: Mapping[str, str]) -> None:
    """Replace the settings of an API."""
    before = audited.of_api(api)
    ids = {row.key: row.id for row in api.properties}
    desired = [PropertyRow(key, value, ids.get(key, 0)) for key, value in values.items()]
    writing.write_properties(session, api, desired)
    session.flush()
    changes.note(session, api, Tag.API_RESOURCE_CHANGED, before, audited.of_api(api))


def link_owner(session: Session, api: ApiResource, user_id: int) -> None:
    """Make a person a manager of an API."""
    if session.get(ApiResourceOwner, (user_id, api.id)) is None:
        session.add(ApiResourceOwner(user_id=user_id, api_resource_id=api.id))
        session.flush()


def _check_rename(session: Session, api: ApiResource, name: str) -> None:
    if api.name == MANAGEMENT_API:
        raise rules.built_in("name")
    rules.refuse_in_use(session, "name", [scope.name for scope in api.scopes])
    rules.check_api_name(session, name, api.tenant_id, own=api.name)
