"""The effective permissions of a person in a tenant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    and_,
    bindparam,
    false,
    null,
    or_,
    select,
    union,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.directory.bundles.models import Bundle
from idp.directory.product import MANAGEMENT_API, MANAGEMENT_PREFIX
from idp.directory.resources.models import ApiResource
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users.models import User, UserClaim
from idp.directory.users.standing import is_active
from idp.platform import clock
from idp.platform.db import run
from idp.platform.errors import Unprocessable
from idp.platform.permission_codes import covering, covers
from idp.platform.translation import N_

ADMINISTRATORS = "administrators"
BUILT_IN = frozenset({ADMINISTRATORS, "users", "developer", "partners"})
"""Platform roles that every installation has; code relies on their codes."""

UserId = int | InstrumentedAttribute[int] | BindParameter[int]
"""Id of a person, a column of such ids, or a bound parameter."""
TenantId = int | InstrumentedAttribute[int] | BindParameter[int]
"""Id of a tenant, a column of such ids, or a bound parameter."""


class Permission(NamedTuple):
    """A privilege that a person holds; owned by an API resource or by nobody."""

    code: str
    api_resource_id: int | None


class Origin(NamedTuple):
    """A permission that a person holds, and the role that it comes from."""

    code: str
    api: str | None
    role: str | None
    """Its name; None: granted directly."""
    tenant_id: int | None
    """Of the role or grant; None: the platform."""


@dataclass(frozen=True, slots=True)
class HeldRights:
    """The rights of a person in a tenant as tokens carry them, sorted."""

    roles: list[str]
    permissions: list[Permission]


def effective_permissions(
    session: Session, user_id: int, tenant_id: int, *, platform: bool
) -> list[Permission]:
    """Return the effective permissions of a person in a tenant, sorted by code.

    Direct grants of the platform or the tenant, privileges of the person's roles in the tenant,
    and with `platform` those of platform roles too (tokens of issuer 1).
    """
    return held_rights(session, user_id, tenant_id, platform=platform).permissions


def held_rights(session: Session, user_id: int, tenant_id: int, *, platform: bool) -> HeldRights:
    """Return role codes and effective permissions of a person in a tenant, by one query."""
    parameters = {"user_id": user_id, "tenant_id": tenant_id}
    return rights_from(run(session, held_query(platform=platform), parameters))


def rights_from(rows: Iterable[Sequence[Any]]) -> HeldRights:
    """Return the rights in the rows of `held_query`."""
    codes: set[str] = set()
    permissions: set[Permission] = set()
    for role, code, api_resource_id in rows:
        if role is not None:
            codes.add(role)
        if code is not None:
            permissions.add(Permission(code, api_resource_id))
    return HeldRights(sorted(codes), sorted(permissions, key=_by_code))


def _by_code(permission: Permission) -> tuple[str, int]:
    return permission.code, permission.api_resource_id or 0


@cache
def held_query(*, platform: bool) -> CompoundSelect[str | None, str | None, int | None]:
    """Return the query of roles and permissions for `user_id` and `tenant_id`, built once.

    Building the statement costs more than executing it.
    """
    user_id: BindParameter[int] = bindparam("user_id")
    tenant_id: BindParameter[int] = bindparam("tenant_id")
    through = (
        select(Role.code.label("role"), Privilege.code, Privilege.api_resource_id)
        .join(UserRole, UserRole.role_id == Role.id)
        .outerjoin(RolePrivilege, RolePrivilege.role_id == Role.id)
        .outerjoin(
            Privilege, and_(Privilege.id == RolePrivilege.privilege_id, Privilege.status == 1)
        )
        .where(UserRole.user_id == user_id, _role_counts(tenant_id, platform=platform))
    )
    direct = _direct(user_id, tenant_id).with_only_columns(
        null().label("role"), Privilege.code, Privilege.api_resource_id
    )
    return union_all(through, direct)


def has_permission(
    session: Session, user_id: int, tenant_id: int | None, code: str, *, platform: bool
) -> bool:
    """Return whether a person may do one thing in a tenant, or (no tenant) on the platform itself.

    On the platform a platform role counts, or a direct grant there. A right in a tenant also needs
    the membership. A `P.all` covers codes of its own owner only: whoever registers an API may call
    its privileges as they like.
    """
    granting = _granting(user_id, tenant_id, platform=platform)
    return _any_covers(session, code, granting)


def management_codes(
    session: Session,
    user_id: int,
    tenant_id: int | None,
    codes: Collection[str],
    *,
    platform: bool,
) -> frozenset[str]:
    """Return which codes of the management API a person holds, each judged as `has_permission`."""
    granting = _granting(user_id, tenant_id, platform=platform)
    if not granting:
        return frozenset()
    held = [Permission(*row) for row in session.execute(union(*granting))]
    return _management_codes(session, held, codes)


def holds_everywhere(session: Session, user_id: int, codes: Collection[str]) -> bool:
    """Return whether roles of the platform hold any of several codes of the management API."""
    rows = session.execute(_through_roles(user_id, Role.tenant_id.is_(None)))
    return bool(_management_codes(session, [Permission(*row) for row in rows], codes))


def tenants_with_any(
    session: Session,
    user_id: int,
    tenant_ids: Collection[int],
    codes: Collection[str],
    *,
    platform: bool,
) -> set[int]:
    """Return in which of their tenants a person holds any of several codes of the management API.

    As `effective_by_tenant` it does not look at memberships.
    """
    held = effective_by_tenant(session, user_id, tenant_ids, platform=platform)
    owner = _management_api(session)
    asked = [Permission(code, owner) for code in codes]
    return {
        tenant_id
        for tenant_id, permissions in held.items()
        if len(uncovered(permissions, asked)) < len(asked)
    }


def _management_codes(
    session: Session, held: Collection[Permission], codes: Collection[str]
) -> frozenset[str]:
    """Return which codes of the management API held permissions are or, as `P.all`, cover."""
    owner = _management_api(session)
    return frozenset(codes).difference(uncovered(held, [Permission(code, owner) for code in codes]))


def _management_api(session: Session) -> int | None:
    return session.scalar(select(ApiResource.id).where(ApiResource.name == MANAGEMENT_API))


def permitting_tenants(
    session: Session, user_id: int, tenant_ids: Collection[int], code: str, *, platform: bool
) -> set[int]:
    """Return in which of several tenants a person may do one thing (see `has_permission`)."""
    through_platform = _through_roles(user_id, Role.tenant_id.is_(None))
    if platform and _any_covers(session, code, [through_platform]):
        return set(tenant_ids)
    rows = session.scalars(
        select(Membership.tenant_id).where(
            Membership.user_id == user_id,
            Membership.tenant_id.in_(tenant_ids),
            permitted(user_id, Membership.tenant_id, code, platform=False),
        )
    )
    return set(rows)


def permitted(
    user_id: int, tenant_id: InstrumentedAttribute[int], code: str, *, platform: bool
) -> ColumnElement[bool]:
    """Return in SQL in which tenants of a query a member may do one thing."""
    through = _through_roles(user_id, _role_counts(tenant_id, platform=platform))
    direct = _direct(user_id, tenant_id)
    return or_(*(query.where(_covers(code)).exists() for query in (through, direct)))


def origins(
    session: Session, user_id: int, tenant_id: int | None, *, platform: bool
) -> list[Origin]:
    """Return where a person has each effective permission from, by code; no tenant: the platform.

    With `platform` roles and grants of the platform too (see `effective_permissions`).
    """
    of_tenant = false() if tenant_id is None else Role.tenant_id == tenant_id
    of_platform = Role.tenant_id.is_(None) if platform else false()
    through = _through_roles(user_id, or_(of_tenant, of_platform))
    granted = false() if tenant_id is None else UserClaim.tenant_id == tenant_id
    direct = _granted(user_id, granted)
    if not platform:
        direct = direct.where(granted)
    queries = (
        through.outerjoin(
            ApiResource, ApiResource.id == Privilege.api_resource_id
        ).with_only_columns(Privilege.code, ApiResource.name, Role.name, Role.tenant_id),
        direct.outerjoin(
            ApiResource, ApiResource.id == Privilege.api_resource_id
        ).with_only_columns(
            Privilege.code, ApiResource.name, null().cast(String), UserClaim.tenant_id
        ),
    )
    rows = {Origin(*row) for query in queries for row in session.execute(query)}
    return sorted(rows, key=lambda row: (row.code, row.role or "", row.tenant_id or 0))


def holds_any(user_id: UserId, tenant_id: int, codes: Collection[str]) -> ColumnElement[bool]:
    """Return in SQL who holds one of several codes in a tenant, without roles of the platform."""
    through = _through_roles(user_id, Role.tenant_id == tenant_id)
    direct = _direct(user_id, tenant_id)
    return or_(*(query.where(Privilege.code.in_(codes)).exists() for query in (through, direct)))


def lacking(
    session: Session,
    user_id: int,
    tenant_id: int,
    privileges: Iterable[Privilege | Permission],
    *,
    platform: bool,
) -> list[str]:
    """Return the codes of privileges that are not effective for a person in a tenant."""
    return uncovered(
        effective_permissions(session, user_id, tenant_id, platform=platform), privileges
    )


def outside(
    session: Session, codes: Collection[str], privileges: Iterable[Privilege | Permission]
) -> list[str]:
    """Return the codes of privileges that a list of codes does not cover (see `lacking`)."""
    rows = session.execute(
        select(Privilege.code, Privilege.api_resource_id).where(Privilege.code.in_(codes))
    )
    return uncovered([Permission(row.code, row.api_resource_id) for row in rows], privileges)


def uncovered(
    held: Iterable[Privilege | Permission], privileges: Iterable[Privilege | Permission]
) -> list[str]:
    """Return the codes of privileges that none of the held ones equals or, as `P.all`, covers.

    A `P.all` covers codes of its own owner only.
    """
    codes: set[str] = set()
    by_owner: dict[int | None, set[str]] = {}
    for permission in held:
        codes.add(permission.code)
        by_owner.setdefault(permission.api_resource_id, set()).add(permission.code)
    return sorted(
        privilege.code
        for privilege in privileges
        if privilege.code not in codes
        and not covers(by_owner.get(privilege.api_resource_id, ()), privilege.code)
    )


def carried(session: Session, role_ids: Collection[int]) -> Sequence[Privilege]:
    """Return the privileges that any of these roles carries."""
    by_roles = select(RolePrivilege.privilege_id).where(RolePrivilege.role_id.in_(role_ids))
    return session.scalars(
        select(Privilege).where(Privilege.id.in_(by_roles)).order_by(Privilege.sort, Privilege.id)
    ).all()


def bundled(session: Session, tenant_id: int) -> frozenset[str] | None:
    """Return the codes that the bundle of a tenant contains; None: it has no bundle."""
    bundle = session.scalar(
        select(Bundle).join(Tenant, Tenant.bundle_code == Bundle.code).where(Tenant.id == tenant_id)
    )
    return None if bundle is None else bundle.privilege_codes


def lacking_codes_by_tenant(
    session: Session, user_id: int, codes_of: Mapping[int, Collection[str]], *, platform: bool
) -> dict[int, list[str]]:
    """As `lacking`, of codes in several tenants; tenants where none lacks are left out.

    Nobody holds a code that is not a privilege.
    """
    held = effective_by_tenant(session, user_id, codes_of, platform=platform)
    # Most codes are held as they are: only the others need to be looked up.
    others = {
        tenant_id: set(codes) - {permission.code for permission in held[tenant_id]}
        for tenant_id, codes in codes_of.items()
    }
    unclear = set[str]().union(*others.values())
    known: dict[str, Privilege] = {}
    if unclear:
        rows = session.scalars(select(Privilege).where(Privilege.code.in_(unclear)))
        known = {privilege.code: privilege for privilege in rows}
    lacked = {}
    for tenant_id, codes in others.items():
        found = [known[code] for code in codes if code in known]
        lacked[tenant_id] = sorted((codes - known.keys()).union(uncovered(held[tenant_id], found)))
    return {tenant_id: codes for tenant_id, codes in lacked.items() if codes}


def effective_by_tenant(
    session: Session, user_id: int, tenant_ids: Collection[int], *, platform: bool
) -> dict[int, list[Permission]]:
    """As `effective_permissions`, of several tenants by two queries."""
    in_tenants = Role.tenant_id.in_(tenant_ids)
    counts = or_(in_tenants, Role.tenant_id.is_(None)) if platform else in_tenants
    through = _through_roles(user_id, counts).add_columns(Role.tenant_id)
    direct = _granted(user_id, UserClaim.tenant_id.in_(tenant_ids)).add_columns(UserClaim.tenant_id)
    found: defaultdict[int | None, set[Permission]] = defaultdict(set)
    for query in (through, direct):
        for code, api_resource_id, tenant_id in session.execute(query):
            found[tenant_id].add(Permission(code, api_resource_id))
    everywhere = found[None]
    return {tenant_id: [*found[tenant_id] | everywhere] for tenant_id in tenant_ids}


def _covers(code: str) -> ColumnElement[bool]:
    """Return in SQL which privileges grant a code."""
    owner = _owner(code).scalar_subquery()
    return or_(
        Privilege.code == code,
        and_(
            Privilege.code.in_(covering(code)),
            Privilege.api_resource_id.is_not_distinct_from(owner),
        ),
    )


def _granting(
    user_id: int, tenant_id: int | None, *, platform: bool
) -> list[Select[str, int | None]]:
    """Select what grants a person rights in a tenant, or (no tenant) on the platform itself."""
    granting: list[Select[str, int | None]] = []
    if platform:
        granting.append(_through_roles(user_id, Role.tenant_id.is_(None)))
        if tenant_id is None:
            granting.append(_granted(user_id, false()))
    if tenant_id is not None:
        member = (
            select(Membership.id)
            .where(Membership.user_id == user_id, Membership.tenant_id == tenant_id)
            .exists()
        )
        granting.append(_through_roles(user_id, and_(Role.tenant_id == tenant_id, member)))
        granting.append(_direct(user_id, tenant_id).where(member))
    return granting


def _any_covers(session: Session, code: str, queries: Sequence[Select[str, int | None]]) -> bool:
    """Return whether one of the selected privileges grants a code."""
    if not queries:
        return False
    held = union(*(query.where(_covers(code)) for query in queries))
    return session.execute(held.limit(1)).first() is not None


def _owner(code: str) -> Select[Any]:
    """Select the API that a code belongs to; codes of the management API need no row."""
    if code.startswith(MANAGEMENT_PREFIX):
        return select(ApiResource.id).where(ApiResource.name == MANAGEMENT_API)
    return select(Privilege.api_resource_id).where(Privilege.code == code)


def _role_counts(tenant_id: TenantId, *, platform: bool) -> ColumnElement[bool]:
    in_tenant = Role.tenant_id == tenant_id
    return or_(in_tenant, Role.tenant_id.is_(None)) if platform else in_tenant


def _through_roles(user_id: UserId, condition: ColumnElement[bool]) -> Select[str, int | None]:
    return (
        select(Privilege.code, Privilege.api_resource_id)
        .join(RolePrivilege, RolePrivilege.privilege_id == Privilege.id)
        .join(UserRole, UserRole.role_id == RolePrivilege.role_id)
        .join(Role, Role.id == UserRole.role_id)
        .where(UserRole.user_id == user_id, Privilege.status == 1, condition)
    )


def _direct(user_id: UserId, tenant_id: TenantId) -> Select[str, int | None]:
    return _granted(user_id, UserClaim.tenant_id == tenant_id)


def _granted(user_id: UserId, in_tenant: ColumnElement[bool]) -> Select[str, int | None]:
    return (
        select(Privilege.code, Privilege.api_resource_id)
        .join(UserClaim, UserClaim.value == Privilege.code)
        .where(
            UserClaim.user_id == user_id,
            UserClaim.type == "permission",
            or_(UserClaim.tenant_id.is_(None), in_tenant),
            Privilege.status == 1,
        )
    )


def is_platform_administrator(session: Session, user_id: int) -> bool:
    """Return whether a person has the platform role `administrators`."""
    return session.scalar(administrators().where(UserRole.user_id == user_id)) is not None


def administrators() -> Select[int]:
    """Select the ids of people with the platform role `administrators`."""
    return (
        select(UserRole.user_id)
        .join(Role, Role.id == UserRole.role_id)
        .where(Role.tenant_id.is_(None), Role.code == ADMINISTRATORS)
    )


def has_administrators(session: Session, number: int) -> bool:
    """Return whether so many people administer the platform and may sign in."""
    active = administrators().join(User, User.id == UserRole.user_id).where(is_active(clock.now()))
    return len(session.scalars(active.distinct().limit(number)).all()) == number


def require_administrator(session: Session) -> None:
    """Refuse a change that leaves the platform without an administrator.

    Call it after the change: two concurrent removals wait for each other here.
    """
    role = select(Role.id).where(Role.tenant_id.is_(None), Role.code == ADMINISTRATORS)
    session.execute(role.with_for_update())
    left = session.scalar(
        select(UserRole.user_id)
        .join(User, User.id == UserRole.user_id)
        .where(UserRole.role_id.in_(role), is_active(clock.now()))
        .limit(1)
    )
    if left is None:
        raise Unprocessable(
            N_("The platform must have an administrator. Appoint another one first."),
            fields={"id": ["is the last administrator of the platform"]},
        )
