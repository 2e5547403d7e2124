"""A tenant as a whole: hosts, claims and properties at once, as managers read and write it.

Who is in reach is told by the code of the operation: a tenant is managed by its administrators who
hold that permission in it, and by administrators of the platform.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session, selectinload

from idp.directory.applications.models import Application
from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.children import synchronise
from idp.directory.clients.models import Client
from idp.directory.product import MANAGEMENT_PREFIX
from idp.directory.resources.models import ApiResource, IdentityResource
from idp.directory.roles import service as roles
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants import service
from idp.directory.tenants.hosts import needing_proof, prove, refuse_unproven
from idp.directory.tenants.models import (
    Membership,
    Tenant,
    TenantClaim,
    TenantHost,
    TenantProperty,
    TenantStatus,
)
from idp.directory.users.models import UserClaim
from idp.platform import runtime, stamps
from idp.platform.audit import difference
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, Forbidden, NotFound, Overreach
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.secrets import MASK, UnknownKeyError


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host; id 0 is a new row, here as in every list."""

    host: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A public fact."""

    type: str
    value: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """A private setting; without a value (or with the mask) the stored one stays."""

    key: str
    value: str | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """All that is said about a tenant; a list that is None stays as it is, an empty one clears."""

    name: str
    status: int
    theme: str | None
    issuer_host: str | None
    cache_seconds: int
    hosts: Sequence[HostRow] | None = None
    claims: Sequence[ClaimRow] | None = None
    properties: Sequence[PropertyRow] | None = None
    concurrency_stamp: str | None = None
    """State of the tenant that was looked at; None: whatever it is by now."""


@dataclass(frozen=True, slots=True)
class Editor:
    """Who manages tenants, with a token for which one."""

    user_id: int
    tenant_id: int
    is_administrator: bool
    """Administrators of the platform reach all tenants."""
    at_platform: bool
    """Whether platform roles count."""
    client_tenant_id: int | None = None
    """The one tenant that his client serves; None: all."""


@dataclass(frozen=True, slots=True)
class Public:
    """What anybody may know of a tenant."""

    id: int
    name: str
    claims: Mapping[str, str]
    cache_seconds: int


def listing(
    session: Session, editor: Editor, code: str, *, host: str | None = None
) -> Select[Tenant]:
    """Ask for the tenants in reach of an operation; `host` is exact."""
    query = _reading(editor, code)
    if host is not None:
        host = service.to_ascii(host.lower())
        named = Tenant.hosts.any(TenantHost.host == host)
        if host == runtime.of(session).settings.public_host:
            named = or_(named, Tenant.id == PLATFORM_TENANT_ID)
        query = query.where(named)
    return query


def get(session: Session, editor: Editor, code: str, tenant_id: int) -> Tenant:
    """Give a tenant in reach, as the database has it now."""
    query = _reading(editor, code).where(Tenant.id == _bounded(tenant_id))
    tenant = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if tenant is None:
        raise NotFound
    return tenant


def prove_hosts(
    session: Session, editor: Editor, said: Content, *, code: str = "", tenant_id: int | None = None
) -> frozenset[str]:
    """Return the hosts that the DNS proves to be the editor's, or those of the tenant.

    Call it before `create` or `change`: it waits for name servers and ends the transaction. The
    platform needs no proof.
    """
    if editor.is_administrator or not said.hosts:
        return frozenset()
    tenant = None if tenant_id is None else get(session, editor, code, tenant_id)
    kept = [] if tenant is None else [row.host for row in tenant.hosts]
    hosts = [service.check_host(row.host, f"hosts[{i}].host") for i, row in enumerate(said.hosts)]
    asked = needing_proof(hosts, kept)
    return prove(session, _claimant(editor, tenant_id), editor.user_id, asked)


def create(session: Session, editor: Editor, said: Content, proven: Collection[str] = ()) -> Tenant:
    """Create a tenant; whoever does becomes its administrator, with the rights they have here.

    A tenant that another one makes has the bundle of that one, so that it can do no more. Hosts
    need a proof (see `prove_hosts`).
    """
    tenant = Tenant(
        name=service.check_name(said.name),
        status=said.status,
        theme=_theme(said.theme),
        cache_seconds=said.cache_seconds,
        issuer_tenant_id=PLATFORM_TENANT_ID,
    )
    session.add(tenant)
    session.flush()
    before = _state(tenant)
    _apply(session, editor, tenant, said, _claimant(editor, None), proven)
    service.add_member(session, tenant.id, editor.user_id, is_admin=True)
    if not editor.is_administrator:
        _inherit_bundle(session, editor, tenant)
        _take_rights_along(session, editor, tenant)
    changes = [{"field": "name", "value": tenant.name}, *_changes(before, _state(tenant))]
    _record(session, tenant, Tag.TENANT_CREATED, changes)
    return tenant


def change(
    session: Session,
    editor: Editor,
    code: str,
    tenant_id: int,
    said: Content,
    proven: Collection[str] = (),
) -> Tenant:
    """Replace what is said about a tenant; what says the same again changes nothing.

    New hosts need a proof (see `prove_hosts`).
    """
    tenant = _hold(session, editor, code, tenant_id, with_key=False)
    stamps.check(tenant.concurrency_stamp, said.concurrency_stamp)
    is_opened = tenant.status == TenantStatus.DISABLED and said.status != tenant.status
    if is_opened and not editor.is_administrator:
        # Otherwise a tenant that the platform shut would be opened again by its own people.
        raise Overreach.at(
            "status", "Only an administrator of the platform opens a disabled tenant again."
        )
    before = _state(tenant)
    _apply(session, editor, tenant, said, _claimant(editor, tenant.id), proven)
    changes = _changes(before, _state(tenant))
    if changes:
        tenant.concurrency_stamp = stamps.new_stamp()
        session.flush()
        _record(session, tenant, Tag.TENANT_CHANGED, changes)
    return tenant


def delete(session: Session, editor: Editor, code: str, tenant_id: int) -> None:
    """Delete a tenant that nothing hangs on; its administrators, roles and claims go with it."""
    tenant = _hold(session, editor, code, tenant_id, with_key=True)
    if tenant.id == PLATFORM_TENANT_ID:
        raise Conflict.at("id", "The platform's own tenant stays.")
    hanging = _hanging(session, tenant)
    if hanging:
        raise Conflict("Something still hangs on this tenant.", fields=hanging)
    _record(session, tenant, Tag.TENANT_DELETED, [{"field": "name", "value": tenant.name}])
    own_roles = select(Role.id).where(Role.tenant_id == tenant.id)
    session.execute(sqlalchemy.delete(UserRole).where(UserRole.role_id.in_(own_roles)))
    tenant.issuer_tenant_id = PLATFORM_TENANT_ID  # a row that points at itself cannot go
    session.flush()
    session.delete(tenant)
    session.flush()


def public(session: Session, host: str) -> Public:
    """Tell what anybody may know of the enabled tenant that signs in at a host; cached."""
    issuer = service.find_issuer(session, service.to_ascii(host))
    if issuer is None:
        raise NotFound
    cache = runtime.of(session).cache
    return cache.get(("public", issuer.tenant_id), lambda: _public(session, issuer.tenant_id))


def _public(session: Session, tenant_id: int) -> Public:
    tenant = service.get(session, tenant_id)
    claims = {row.type: row.value for row in tenant.claims}
    return Public(tenant.id, tenant.name, claims, tenant.cache_seconds)


def _reading(editor: Editor, code: str) -> Select[Tenant]:
    children = (Tenant.hosts, Tenant.claims, Tenant.properties, Tenant.administrators)
    loaded = [selectinload(child) for child in children]
    return select(Tenant).where(_in_reach(editor, code)).options(*loaded)


def _in_reach(editor: Editor, code: str) -> ColumnElement[bool]:
    if editor.is_administrator:
        return true()
    administers = (
        select(Membership.id)
        .where(
            Membership.tenant_id == Tenant.id,
            Membership.user_id == editor.user_id,
            Membership.is_admin,
        )
        .exists()
    )
    may = roles.permitted(editor.user_id, Tenant.id, code, platform=editor.at_platform)
    if editor.client_tenant_id is not None:
        return and_(Tenant.id == editor.client_tenant_id, administers, may)
    return and_(administers, may)


def _hold(session: Session, editor: Editor, code: str, tenant_id: int, *, with_key: bool) -> Tenant:
    """Lock a tenant until the end of the transaction, then read it: writers take turns.

    `with_key` nobody can hang anything on it meanwhile. SQLite has one writer anyway.
    """
    lock = select(Tenant.id).where(Tenant.id == _bounded(tenant_id), _in_reach(editor, code))
    if session.scalar(lock.with_for_update(key_share=not with_key, of=Tenant)) is None:
        raise NotFound
    if tenant_id == PLATFORM_TENANT_ID and not editor.is_administrator:
        raise Forbidden("Only an administrator of the platform may do this")
    return get(session, editor, code, tenant_id)


def _bounded(tenant_id: int) -> int:
    if tenant_id > INT64_MAX:
        raise NotFound
    return tenant_id


def _take_rights_along(session: Session, editor: Editor, tenant: Tenant) -> None:
    """Let the maker of a tenant do there what he may do with management operations here.

    Nobody gains anything: it is a tenant of his own. What he may do everywhere he may do there.
    """
    contained = bundles.privilege_codes(session, tenant.id)
    here, there = (
        {
            permission.code
            for permission in roles.effective_permissions(
                session, editor.user_id, tenant_id, platform=editor.at_platform
            )
        }
        for tenant_id in (editor.tenant_id, tenant.id)
    )
    codes = {code for code in here - there if code.startswith(MANAGEMENT_PREFIX)}
    for code in sorted(codes if contained is None else codes & contained):
        session.add(
            UserClaim(user_id=editor.user_id, tenant_id=tenant.id, type="permission", value=code)
        )
    session.flush()


def _inherit_bundle(session: Session, editor: Editor, tenant: Tenant) -> None:
    """Limit a new tenant by the bundle of the one that makes it; that may have none."""
    bundle = bundles.of_tenant(session, editor.tenant_id)
    if bundle is not None:
        applying.initialise(session, tenant.id, bundle)
        applying.give_administrator_roles(session, tenant.id, editor.user_id)


def _claimant(editor: Editor, tenant_id: int | None) -> str:
    """Name who proves a host: the tenant, or the person while there is no tenant yet."""
    return f"user:{editor.user_id}" if tenant_id is None else f"tenant:{tenant_id}"


def _apply(
    session: Session,
    editor: Editor,
    tenant: Tenant,
    said: Content,
    claimant: str,
    proven: Collection[str],
) -> None:
    service.check_status(tenant, said.status)
    tenant.name = service.check_name(said.name)
    tenant.status = said.status
    tenant.theme = _theme(said.theme)
    tenant.cache_seconds = said.cache_seconds
    with session.no_autoflush:
        if said.hosts is not None:
            kept = [row.host for row in tenant.hosts]
            _set_hosts(session, tenant, said.hosts)
            if not editor.is_administrator:
                asked = needing_proof([row.host for row in tenant.hosts], kept)
                refuse_unproven(session, claimant, asked, proven)
        service.name_issuer(session, tenant, said.issuer_host)
        if said.claims is not None:
            _set_claims(session, tenant, said.claims)
        if said.properties is not None:
            _set_properties(session, tenant, said.properties)
    session.flush()


def _theme(text: str | None) -> str | None:
    if text and not text.isprintable():
        raise BadRequest.at("theme", "A theme has printable characters only.")
    return text or None


def _set_hosts(session: Session, tenant: Tenant, wanted: Sequence[HostRow]) -> None:
    checked = [
        replace(row, host=service.check_host(row.host, f"hosts[{index}].host"))
        for index, row in enumerate(wanted)
    ]

    def write(row: TenantHost, said: HostRow, _path: str) -> None:
        row.host = said.host

    with service.unique_hosts(session):
        synchronise(
            session, tenant.hosts, checked, path="hosts", key="host", make=TenantHost, write=write
        )


def _set_claims(session: Session, tenant: Tenant, wanted: Sequence[ClaimRow]) -> None:
    def write(row: TenantClaim, said: ClaimRow, path: str) -> None:
        if not said.type.strip():
            raise BadRequest.at(f"{path}.type", "A claim has a name.")
        row.type, row.value = said.type, said.value

    synchronise(
        session, tenant.claims, wanted, path="claims", key="type", make=TenantClaim, write=write
    )


def _set_properties(session: Session, tenant: Tenant, wanted: Sequence[PropertyRow]) -> None:
    keyring = runtime.of(session).keyring

    def write(row: TenantProperty, said: PropertyRow, path: str) -> None:
        if not said.key.strip():
            raise BadRequest.at(f"{path}.key", "A property has a name.")
        row.key = said.key
        value = None if said.value == MASK else said.value
        is_new = sqlalchemy.inspect(row).transient
        if value is None:
            if is_new:
                raise BadRequest.at(f"{path}.value", "A new property needs its value.")
        elif is_new or _clear(session, row) != value:
            row.value_encrypted = keyring.encrypt(service.PURPOSE, value.encode())

    synchronise(
        session,
        tenant.properties,
        wanted,
        path="properties",
        key="key",
        make=TenantProperty,
        write=write,
    )


def _clear(session: Session, row: TenantProperty) -> str | None:
    """Read a stored value; None when its root secret is gone."""
    keyring = runtime.of(session).keyring
    try:
        return keyring.decrypt(service.PURPOSE, row.value_encrypted).decode()
    except UnknownKeyError:
        return None


def _hanging(session: Session, tenant: Tenant) -> dict[str, list[str]]:
    """Name what would go down with a tenant, or could not go on without it."""
    things = {
        "members": select(func.count(Membership.id)).where(
            Membership.tenant_id == tenant.id, ~Membership.is_admin
        ),
        "clients": select(func.count(Client.id)).where(Client.tenant_id == tenant.id),
        "apiResources": select(func.count(ApiResource.id)).where(
            ApiResource.tenant_id == tenant.id
        ),
        "identityResources": select(func.count(IdentityResource.id)).where(
            IdentityResource.tenant_id == tenant.id
        ),
        "applications": select(func.count(Application.id)).where(
            Application.tenant_id == tenant.id
        ),
        "tenants": select(func.count(Tenant.id)).where(
            Tenant.issuer_tenant_id == tenant.id, Tenant.id != tenant.id
        ),
    }
    counts = session.execute(select(*(query.scalar_subquery() for query in things.values()))).one()
    return {
        name: [f"{count} still hang on this tenant."]
        for name, count in zip(things, counts, strict=True)
        if count
    }


def _state(tenant: Tenant) -> dict[str, Any]:
    """Describe a tenant for the comparison of before and after."""
    return {
        "name": tenant.name,
        "status": tenant.status,
        "theme": tenant.theme,
        "issuer_host": tenant.issuer_host,
        "cache_seconds": tenant.cache_seconds,
        "hosts": {row.id: row.host for row in tenant.hosts},
        "claims": {row.id: (row.type, row.value) for row in tenant.claims},
        "properties": {row.id: (row.key, row.value_encrypted) for row in tenant.properties},
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    lists = ("hosts", "claims", "properties")
    return difference.between(before, after, lists=lists, private=("properties",))


def _record(
    session: Session, tenant: Tenant, tag: Tag, changes: Sequence[Mapping[str, Any]]
) -> None:
    audit.record(
        session,
        tag,
        tenant_id=tenant.id,
        target=f"tenant:{tenant.id}",
        details={"changes": changes},
    )
