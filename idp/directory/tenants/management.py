"""Managing tenants: hosts, claims and properties at once, within the reach of the actor.

Reach depends on the permission of the operation: a tenant is managed by its administrators who
hold that permission in it, and by administrators of the platform.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session, selectinload

from idp.directory import child_rows, permissions
from idp.directory.actor import Actor
from idp.directory.applications.models import Application
from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.clients.models import Client
from idp.directory.product import MANAGEMENT_PREFIX
from idp.directory.resources.models import ApiResource, IdentityResource
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
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, Forbidden, NotFound, Overreach
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.secrets import MASK, UnknownKeyError
from idp.platform.translation import N_


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
class TenantSpec:
    """All values of a tenant; a list that is None stays as it is, an empty one clears."""

    name: str
    status: int
    theme: str | None
    issuer_host: str | None
    cache_seconds: int
    hosts: Sequence[HostRow] | None = None
    claims: Sequence[ClaimRow] | None = None
    properties: Sequence[PropertyRow] | None = None
    concurrency_stamp: str | None = None
    """Stamp of the state that was read; None: not compared."""


@dataclass(frozen=True, slots=True)
class Public:
    """The public data of a tenant."""

    id: int
    name: str
    claims: Mapping[str, str]
    cache_seconds: int


def list_query(
    session: Session, actor: Actor, code: str, *, host: str | None = None
) -> Select[Tenant]:
    """Return the query of the tenants in reach of an operation; `host` is exact."""
    query = _reading(actor, code)
    if host is not None:
        host = service.to_ascii(host.lower())
        named = Tenant.hosts.any(TenantHost.host == host)
        if host == runtime.of(session).settings.public_host:
            named = or_(named, Tenant.id == PLATFORM_TENANT_ID)
        query = query.where(named)
    return query


def check_served(session: Session, actor: Actor, tenant_id: int, *, lock: bool = False) -> None:
    """Refuse a tenant that is not there, or that the client of the actor does not serve.

    The gate has checked the permission there. With `lock` nobody else changes it meanwhile.
    """
    query = select(Tenant.id).where(Tenant.id == _bounded(tenant_id))
    if lock:
        query = query.with_for_update(of=Tenant)
    is_served = actor.client_tenant_id in {None, tenant_id}
    if not is_served or session.scalar(query) is None:
        raise NotFound


def get(session: Session, actor: Actor, code: str, tenant_id: int) -> Tenant:
    """Return a tenant in reach, as the database has it now."""
    query = _reading(actor, code).where(Tenant.id == _bounded(tenant_id))
    tenant = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if tenant is None:
        raise NotFound
    return tenant


def prove_hosts(
    session: Session,
    actor: Actor,
    spec: TenantSpec,
    *,
    code: str = "",
    tenant_id: int | None = None,
) -> frozenset[str]:
    """Return the hosts that the DNS proves to be the actor's, or those of the tenant.

    Call it before `create` or `replace`: it waits for name servers and ends the transaction. The
    platform needs no proof.
    """
    if actor.is_platform_admin or not spec.hosts:
        return frozenset()
    tenant = None if tenant_id is None else get(session, actor, code, tenant_id)
    kept = [] if tenant is None else [row.host for row in tenant.hosts]
    hosts = [service.check_host(row.host, f"hosts[{i}].host") for i, row in enumerate(spec.hosts)]
    unproven = needing_proof(hosts, kept)
    return prove(session, _claimant(actor, tenant_id), actor.person_id, unproven)


def create(
    session: Session, actor: Actor, spec: TenantSpec, proven: Collection[str] = ()
) -> Tenant:
    """Create a tenant; the actor becomes its administrator, with the rights they have here.

    It inherits the bundle of the creating tenant, so that it can do no more. Hosts
    need a proof (see `prove_hosts`).
    """
    tenant = Tenant(
        name=service.check_name(spec.name),
        status=spec.status,
        theme=_theme(spec.theme),
        cache_seconds=spec.cache_seconds,
        issuer_tenant_id=PLATFORM_TENANT_ID,
    )
    session.add(tenant)
    session.flush()
    _apply(session, actor, tenant, spec, _claimant(actor, None), proven)
    service.add_member(session, tenant.id, actor.person_id, is_admin=True)
    if not actor.is_platform_admin:
        _inherit_bundle(session, actor, tenant)
        _copy_rights(session, actor, tenant)
    service.record(session, tenant, Tag.TENANT_CREATED, {}, service.state_of(tenant))
    return tenant


def replace(
    session: Session,
    actor: Actor,
    code: str,
    tenant_id: int,
    spec: TenantSpec,
    proven: Collection[str] = (),
) -> Tenant:
    """Replace a tenant; without a difference nothing changes, not even the stamp.

    New hosts need a proof (see `prove_hosts`).
    """
    tenant = _lock(session, actor, code, tenant_id, with_key=False)
    stamps.check(tenant.concurrency_stamp, spec.concurrency_stamp)
    is_opened = tenant.status == TenantStatus.DISABLED and spec.status != tenant.status
    if is_opened and not actor.is_platform_admin:
        # Otherwise its own members could enable a tenant that the platform has disabled.
        raise Overreach.at("status", "Only a platform administrator can enable a disabled tenant.")
    before = service.state_of(tenant)
    _apply(session, actor, tenant, spec, _claimant(actor, tenant.id), proven)
    after = service.state_of(tenant)
    if before != after:
        tenant.concurrency_stamp = stamps.new_stamp()
        session.flush()
        service.record(session, tenant, Tag.TENANT_CHANGED, before, after)
    return tenant


def delete(session: Session, actor: Actor, code: str, tenant_id: int) -> None:
    """Delete an unused tenant, with its administrators, roles and claims."""
    tenant = lock(session, actor, code, tenant_id)
    refuse_uses(count_uses(session, tenant))
    remove(session, tenant)


def lock(session: Session, actor: Actor, code: str, tenant_id: int) -> Tenant:
    """Return a tenant that is to be deleted, to which no row can refer anew meanwhile."""
    tenant = _lock(session, actor, code, tenant_id, with_key=True)
    if tenant.id == PLATFORM_TENANT_ID:
        raise Conflict.at("id", N_("The platform's own tenant cannot be deleted."))
    return tenant


def refuse_uses(counts: Mapping[str, int]) -> None:
    """Raise Conflict when a tenant is still in use."""
    uses = {
        name: [f"{count} still belong to this tenant."] for name, count in counts.items() if count
    }
    if uses:
        raise Conflict(N_("This tenant is still in use."), fields=uses)


def remove(session: Session, tenant: Tenant) -> None:
    """Delete the row of an unused tenant, with its administrators, roles and claims."""
    service.record(session, tenant, Tag.TENANT_DELETED, service.state_of(tenant), {})
    own_roles = select(Role.id).where(Role.tenant_id == tenant.id)
    session.execute(sqlalchemy.delete(UserRole).where(UserRole.role_id.in_(own_roles)))
    tenant.issuer_tenant_id = PLATFORM_TENANT_ID  # a row that refers to itself cannot be deleted
    session.flush()
    session.delete(tenant)
    session.flush()


def public(session: Session, host: str) -> Public:
    """Return the public data of the enabled tenant that signs in at a host; cached."""
    issuer = service.find_issuer(session, service.to_ascii(host))
    if issuer is None:
        raise NotFound
    cache = runtime.of(session).cache
    return cache.get(("public", issuer.tenant_id), lambda: _public(session, issuer.tenant_id))


def _public(session: Session, tenant_id: int) -> Public:
    tenant = service.get(session, tenant_id)
    claims = {row.type: row.value for row in tenant.claims}
    return Public(tenant.id, tenant.name, claims, tenant.cache_seconds)


def _reading(actor: Actor, code: str) -> Select[Tenant]:
    children = (Tenant.hosts, Tenant.claims, Tenant.properties, Tenant.administrators)
    loaded = [selectinload(child) for child in children]
    return select(Tenant).where(_in_reach(actor, code)).options(*loaded)


def _in_reach(actor: Actor, code: str) -> ColumnElement[bool]:
    if actor.is_platform_admin:
        return true()
    administers = (
        select(Membership.id)
        .where(
            Membership.tenant_id == Tenant.id,
            Membership.user_id == actor.person_id,
            Membership.is_admin,
        )
        .exists()
    )
    may = permissions.permitted(actor.person_id, Tenant.id, code, platform=actor.at_platform)
    if actor.client_tenant_id is not None:
        return and_(Tenant.id == actor.client_tenant_id, administers, may)
    return and_(administers, may)


def _lock(session: Session, actor: Actor, code: str, tenant_id: int, *, with_key: bool) -> Tenant:
    """Lock a tenant until the end of the transaction, then read it.

    `with_key`: no row can refer to it anew meanwhile. SQLite has one writer anyway.
    """
    lock = select(Tenant.id).where(Tenant.id == _bounded(tenant_id), _in_reach(actor, code))
    if session.scalar(lock.with_for_update(key_share=not with_key, of=Tenant)) is None:
        raise NotFound
    if tenant_id == PLATFORM_TENANT_ID and not actor.is_platform_admin:
        raise Forbidden(N_("Only platform administrators can do this"))
    return get(session, actor, code, tenant_id)


def _bounded(tenant_id: int) -> int:
    if tenant_id > INT64_MAX:
        raise NotFound
    return tenant_id


def _copy_rights(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Grant the creator of a tenant the management permissions there that they have here.

    Nobody gains anything: it is a tenant of their own. What they may do everywhere they may do
    there.
    """
    contained = permissions.bundled(session, tenant.id)
    here, there = (
        {
            permission.code
            for permission in permissions.effective_permissions(
                session, actor.person_id, tenant_id, platform=actor.at_platform
            )
        }
        for tenant_id in (actor.tenant_id, tenant.id)
    )
    codes = {code for code in here - there if code.startswith(MANAGEMENT_PREFIX)}
    for code in sorted(codes if contained is None else codes & contained):
        session.add(
            UserClaim(user_id=actor.person_id, tenant_id=tenant.id, type="permission", value=code)
        )
    session.flush()


def _inherit_bundle(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Limit a new tenant by the bundle of the tenant that creates it, if it has one."""
    bundle = bundles.of_tenant(session, actor.tenant_id)
    if bundle is not None:
        applying.initialise(session, tenant.id, bundle)
        applying.assign_administrator_roles(session, tenant.id, actor.person_id)


def _claimant(actor: Actor, tenant_id: int | None) -> str:
    """Return who proves a host: the tenant, or the person while there is no tenant yet."""
    return f"user:{actor.person_id}" if tenant_id is None else f"tenant:{tenant_id}"


def _apply(
    session: Session,
    actor: Actor,
    tenant: Tenant,
    spec: TenantSpec,
    claimant: str,
    proven: Collection[str],
) -> None:
    service.check_status(tenant, spec.status)
    tenant.name = service.check_name(spec.name)
    tenant.status = spec.status
    tenant.theme = _theme(spec.theme)
    tenant.cache_seconds = spec.cache_seconds
    with session.no_autoflush, service.keeping_a_way_in(session, tenant):
        if spec.hosts is not None:
            kept = [row.host for row in tenant.hosts]
            _set_hosts(session, tenant, spec.hosts)
            if not actor.is_platform_admin:
                unproven = needing_proof([row.host for row in tenant.hosts], kept)
                refuse_unproven(session, claimant, unproven, proven)
        service.name_issuer(session, tenant, spec.issuer_host)
        if spec.claims is not None:
            _set_claims(session, tenant, spec.claims)
        if spec.properties is not None:
            _set_properties(session, tenant, spec.properties)
    session.flush()


def _theme(text: str | None) -> str | None:
    if text and not text.isprintable():
        raise BadRequest.at("theme", N_("A theme must have printable characters only."))
    return text or None


def _set_hosts(session: Session, tenant: Tenant, desired: Sequence[HostRow]) -> None:
    checked = [
        dataclasses.replace(row, host=service.check_host(row.host, f"hosts[{index}].host"))
        for index, row in enumerate(desired)
    ]

    def write(row: TenantHost, entry: HostRow, _path: str) -> None:
        row.host = entry.host

    with service.unique_hosts(session):
        wanted_rows = child_rows.listed(checked, "hosts", "host")
        child_rows.replace(
            session, tenant.hosts, wanted_rows, columns=("host",), make=TenantHost, write=write
        )


def _set_claims(session: Session, tenant: Tenant, desired: Sequence[ClaimRow]) -> None:
    def write(row: TenantClaim, entry: ClaimRow, path: str) -> None:
        if not entry.type.strip():
            raise BadRequest.at(f"{path}.type", N_("A claim must have a name."))
        row.type, row.value = entry.type, entry.value

    rows = child_rows.listed(desired, "claims", "type")
    child_rows.replace(
        session, tenant.claims, rows, columns=("type",), make=TenantClaim, write=write
    )


def _set_properties(session: Session, tenant: Tenant, desired: Sequence[PropertyRow]) -> None:
    keyring = runtime.of(session).keyring

    def write(row: TenantProperty, entry: PropertyRow, path: str) -> None:
        if not entry.key.strip():
            raise BadRequest.at(f"{path}.key", N_("A property must have a name."))
        row.key = entry.key
        value = None if entry.value == MASK else entry.value
        is_new = sqlalchemy.inspect(row).transient
        if value is None:
            if is_new:
                raise BadRequest.at(f"{path}.value", N_("A new property needs a value."))
        elif is_new or _clear(session, row) != value:
            row.value_encrypted = keyring.encrypt(service.PURPOSE, value.encode())

    rows = child_rows.listed(desired, "properties", "key")
    child_rows.replace(
        session, tenant.properties, rows, columns=("key",), make=TenantProperty, write=write
    )


def _clear(session: Session, row: TenantProperty) -> str | None:
    """Return a stored value in clear text; None when its root secret is missing."""
    keyring = runtime.of(session).keyring
    try:
        return keyring.decrypt(service.PURPOSE, row.value_encrypted).decode()
    except UnknownKeyError:
        return None


def count_uses(session: Session, tenant: Tenant) -> dict[str, int]:
    """Return how many rows of each kind use a tenant, which cannot be deleted while they do."""
    queries = {
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
    counts = session.execute(select(*(query.scalar_subquery() for query in queries.values()))).one()
    return dict(zip(queries, counts, strict=True))
