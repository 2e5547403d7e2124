"""Where roles, permissions and kept claims come from: one query each, however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, and_, literal, null, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.claims.subject import COMPUTED
from idp.directory.clients.models import ClientScope
from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource
from idp.directory.roles.models import Privilege, Role, RoleClaim, RolePrivilege, UserRole
from idp.directory.users.models import UserClaim


class Source(NamedTuple):
    """A role or a direct grant (no role), with a permission that it has (or none)."""

    role: str | None
    tenant_id: int | None
    """None: of the platform."""
    code: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """A privilege that there is."""

    row_id: int
    code: str
    api_resource_id: int | None
    api: str | None
    is_enabled: bool


class KnownScope(NamedTuple):
    """A scope that there is."""

    name: str
    api: str | None
    is_enabled: bool
    tenant_id: int | None
    is_listed: bool
    """Whether the client lists it."""


def read_sources(session: Session, user_id: int, tenant_id: int) -> list[Source]:
    """List a person's roles and direct grants of the tenant and the platform."""
    through = (
        select(Role.code.label("role"), Role.tenant_id, Privilege.code)
        .join(UserRole, UserRole.role_id == Role.id)
        .outerjoin(RolePrivilege, RolePrivilege.role_id == Role.id)
        .outerjoin(Privilege, Privilege.id == RolePrivilege.privilege_id)
        .where(UserRole.user_id == user_id, _in_reach(Role.tenant_id, tenant_id))
    )
    direct = select(null().cast(String).label("role"), UserClaim.tenant_id, UserClaim.value).where(
        UserClaim.user_id == user_id,
        UserClaim.type == "permission",
        _in_reach(UserClaim.tenant_id, tenant_id),
    )
    return [Source(*row) for row in session.execute(union_all(through, direct))]


def read_privileges(
    session: Session, api_ids: Collection[int], codes: Collection[str], limit: int
) -> tuple[dict[str, Known], bool]:
    """Return privileges of these codes, and others that these APIs own, up to a limit.

    The second value tells whether there are more of them.
    """
    is_named = Privilege.code.in_(codes)
    rows = session.execute(
        select(
            Privilege.id,
            Privilege.code,
            Privilege.api_resource_id,
            ApiResource.name,
            Privilege.status,
        )
        .outerjoin(ApiResource, ApiResource.id == Privilege.api_resource_id)
        .where(or_(is_named, Privilege.api_resource_id.in_(api_ids)))
        .order_by(is_named.desc(), Privilege.code)
        .limit(len(codes) + limit + 1)
    ).all()
    known = [Known(*row[:-1], is_enabled=row[-1] == 1) for row in rows]
    named = sum(row.code in codes for row in known)
    return {row.code: row for row in known[: named + limit]}, len(known) > named + limit


def read_carriers(
    session: Session, tenant_id: int, privilege_ids: Collection[int]
) -> Mapping[int, list[str]]:
    """Return which roles of a tenant have each of these privileges."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    if privilege_ids:
        rows = session.execute(
            select(RolePrivilege.privilege_id, Role.code)
            .join(Role, Role.id == RolePrivilege.role_id)
            .where(Role.tenant_id == tenant_id, RolePrivilege.privilege_id.in_(privilege_ids))
            .order_by(Role.code)
        )
        for privilege_id, role in rows:
            found[privilege_id].append(role)
    return found


def read_kept(
    session: Session, user_id: int, tenant_id: int, *, platform: bool
) -> Mapping[str, list[str | None]]:
    """Return the roles (None: the person) that claims are kept for, by the name of the claim."""
    own = select(UserClaim.type, null().cast(String).label("role")).where(
        UserClaim.user_id == user_id,
        _in_reach(UserClaim.tenant_id, tenant_id),
        UserClaim.type.not_in(COMPUTED),
    )
    in_reach = _in_reach(Role.tenant_id, tenant_id) if platform else Role.tenant_id == tenant_id
    of_roles = (
        select(RoleClaim.type, Role.code)
        .join(Role, Role.id == RoleClaim.role_id)
        .join(UserRole, UserRole.role_id == Role.id)
        .where(UserRole.user_id == user_id, in_reach, RoleClaim.type.not_in(COMPUTED))
    )
    found: defaultdict[str, list[str | None]] = defaultdict(list)
    for name, role in session.execute(union_all(own, of_roles)):
        if role not in found[name]:
            found[name].append(role)
    return found


def read_scopes(
    session: Session, client_row_id: int, names: Sequence[str]
) -> Mapping[str, KnownScope]:
    """Return what there is of these scopes, in whatever state."""
    listed = and_(ClientScope.client_id == client_row_id, ClientScope.scope.in_(names))
    own = set(session.scalars(select(ClientScope.scope).where(listed)))
    of_apis = (
        select(ApiScope.name, ApiResource.name, ApiResource.enabled, ApiResource.tenant_id)
        .join(ApiResource, ApiResource.id == ApiScope.api_resource_id)
        .where(ApiScope.name.in_(names))
    )
    identities = select(
        IdentityResource.name,
        literal(None).cast(String),
        IdentityResource.enabled,
        IdentityResource.tenant_id,
    ).where(IdentityResource.name.in_(names))
    rows = session.execute(union_all(of_apis, identities))
    return {row[0]: KnownScope(*row, is_listed=row[0] in own) for row in rows}


def _in_reach(column: InstrumentedAttribute[Any], tenant_id: int) -> ColumnElement[bool]:
    return or_(column.is_(None), column == tenant_id)
