"""The rules about APIs, their scopes and secrets, and identity resources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.clients import service as clients
from idp.directory.clients.fields import ALGORITHMS
from idp.directory.clients.models import Client
from idp.directory.resources.models import (
    ApiResource,
    ApiResourceClaim,
    ApiResourceOwner,
    ApiResourceProperty,
    ApiScope,
    ApiScopeClaim,
    ApiSecret,
    IdentityResource,
    IdentityResourceClaim,
)
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.secrets import random_token

RESERVED = frozenset({"offline_access"})
PERMISSION_FORMATS = ("array", "text")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749 3.3
_CLAIM = re.compile(r"[A-Za-z0-9_.:/#-]{1,200}")
_LONGEST_KEY = 250
_LONGEST_VALUE = 2000
_NAMES_LOCK = 0x6964_7001


@dataclass(frozen=True, slots=True)
class NewScope:
    """A scope as it is registered."""

    name: str
    display_name: str | None = None
    description: str | None = None
    required: bool = False
    emphasize: bool = False
    show_in_discovery_document: bool = True
    user_claims: Sequence[str] = ()


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
    owner_id: int | None = None


def create_api(session: Session, new: NewApi) -> ApiResource:
    """Create an API with its scopes."""
    api = ApiResource(
        name=_api_name(session, new.name),
        tenant_id=new.tenant_id,
        display_name=new.display_name,
        description=new.description,
        user_claims=[ApiResourceClaim(type=name) for name in _claims(new.user_claims)],
        properties=_properties(new.properties),
    )
    _refuse_taken(session, [scope.name for scope in new.scopes])
    api.scopes = [_scope(scope) for scope in new.scopes]
    _insert(session, api)
    if new.owner_id is not None:
        session.add(ApiResourceOwner(user_id=new.owner_id, api_resource_id=api.id))
        session.flush()
    audit.record(
        session, Tag.API_RESOURCE_CREATED, tenant_id=api.tenant_id, target=f"api:{api.name}"
    )
    return api


def find_api(session: Session, name: str) -> ApiResource | None:
    """Find an API, enabled or not, by name."""
    return session.scalar(select(ApiResource).where(ApiResource.name == name))


def add_scope(session: Session, api: ApiResource, new: NewScope) -> ApiScope:
    """Add a scope to an API."""
    _refuse_taken(session, [new.name])
    scope = _scope(new)
    try:
        with session.begin_nested():
            api.scopes.append(scope)
    except IntegrityError:
        raise _taken(new.name) from None
    audit.record(
        session,
        Tag.API_RESOURCE_CHANGED,
        tenant_id=api.tenant_id,
        target=f"api:{api.name}",
        details={"scope_name": scope.name},
    )
    return scope


def add_secret(
    session: Session,
    api: ApiResource,
    value: str | None = None,
    *,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Give an API a secret for the introspection endpoint, made by us unless given."""
    if expires_at is not None and expires_at <= clock.now():
        raise _refused("expires_at", "The expiry lies in the past.")
    secret = random_token() if value is None else value
    hashed = clients.hash_secret(session, secret)
    api.secrets.append(ApiSecret(description=description, value_hash=hashed, expires_at=expires_at))
    session.flush()
    audit.record(
        session,
        Tag.API_RESOURCE_CHANGED,
        tenant_id=api.tenant_id,
        target=f"api:{api.name}",
        details={"secret_id": api.secrets[-1].id},
    )
    return secret


def set_properties(session: Session, api: ApiResource, values: Mapping[str, str]) -> None:
    """Replace the settings of an API."""
    wanted = {row.key: row.value for row in _properties(values)}
    have = {row.key: row for row in api.properties}
    for key, row in have.items():
        if key in wanted:
            row.value = wanted[key]
        else:
            api.properties.remove(row)
    api.properties.extend(
        ApiResourceProperty(key=key, value=value)
        for key, value in wanted.items()
        if key not in have
    )
    session.flush()


def create_identity(
    session: Session, new: NewScope, *, tenant_id: int | None = None
) -> IdentityResource:
    """Create an identity resource: a scope that stands for claims about the person."""
    _refuse_taken(session, [new.name])
    resource = IdentityResource(
        tenant_id=tenant_id,
        name=new.name,
        display_name=new.display_name,
        description=new.description,
        required=new.required,
        emphasize=new.emphasize,
        show_in_discovery_document=new.show_in_discovery_document,
        user_claims=[IdentityResourceClaim(type=name) for name in _claims(new.user_claims)],
    )
    _insert(session, resource)
    audit.record(
        session,
        Tag.IDENTITY_RESOURCE_CREATED,
        tenant_id=tenant_id,
        target=f"identity-resource:{resource.name}",
    )
    return resource


def link_owner(session: Session, api: ApiResource, user_id: int) -> None:
    """Let a person manage an API."""
    if session.get(ApiResourceOwner, (user_id, api.id)) is None:
        session.add(ApiResourceOwner(user_id=user_id, api_resource_id=api.id))
        session.flush()


def _insert(session: Session, row: ApiResource | IdentityResource) -> None:
    name = row.name
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        _refuse_taken(session, [name])
        if isinstance(row, ApiResource) and find_api(session, name) is not None:
            raise _taken(name) from None
        raise NotFound("There is no such tenant.") from None


def _scope(new: NewScope) -> ApiScope:
    return ApiScope(
        name=new.name,
        display_name=new.display_name,
        description=new.description,
        required=new.required,
        emphasize=new.emphasize,
        show_in_discovery_document=new.show_in_discovery_document,
        user_claims=[ApiScopeClaim(type=name) for name in _claims(new.user_claims)],
    )


def _api_name(session: Session, name: str) -> str:
    if not _SCOPE.fullmatch(name) or name.isdigit():
        raise _refused(
            "name", "A name has 1 to 200 characters without spaces or quotes, not only digits."
        )
    if name.rstrip("/").lower() == runtime.of(session).settings.public_url:
        # The issuer's own address is the audience of userinfo.
        raise _refused("name", "The issuer's address cannot be the name of an API.")
    if find_api(session, name) is not None:
        raise _taken(name)
    if session.scalar(select(Client.id).where(Client.client_id == name)):
        # Both call the introspection endpoint by name; both are audiences.
        raise Conflict("A client has this name.", fields={"name": ["taken"]})
    return name


def _refuse_taken(session: Session, names: Sequence[str]) -> None:
    """Keep scope names unique over all APIs and identity resources."""
    for name in names:
        if not _SCOPE.fullmatch(name):
            raise _refused(
                "scopes", f"{name[:200]!r}: a scope has 1 to 200 characters, no spaces or quotes."
            )
        if name in RESERVED:
            raise _refused("scopes", f"{name} has a meaning of its own.")
    if len(set(names)) < len(names):
        raise _refused("scopes", "A scope is named twice.")
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        # Two tables share the names; SQLite's writers are alone anyway.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_NAMES_LOCK})")
    for column in (ApiScope.name, IdentityResource.name):
        found = session.scalar(select(column).where(column.in_(names)).limit(1))
        if found is not None:
            raise _taken(found)


def _claims(names: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if not _CLAIM.fullmatch(name):
            raise _refused("user_claims", f"{name[:200]!r} is not the name of a claim.")
    return wanted


def _properties(values: Mapping[str, str]) -> list[ApiResourceProperty]:
    known = {"permission_format": PERMISSION_FORMATS, "signing_alg": ALGORITHMS}
    for key, value in values.items():
        if not 0 < len(key) <= _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise _refused("properties", f"{key[:200]!r} is too long, or has no name.")
        if key in known and value not in known[key]:
            raise _refused("properties", f"{key} must be one of {', '.join(known[key])}.")
    return [ApiResourceProperty(key=key, value=value) for key, value in values.items()]


def _taken(name: str) -> Conflict:
    return Conflict(f"The name {name} is taken.", fields={"name": ["taken"]})


def _refused(name: str, message: str) -> BadRequest:
    return BadRequest(message, fields={name: [message]})
