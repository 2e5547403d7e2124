"""Roles, privileges and privilege groups: creating, finding and assigning them."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.product import MANAGEMENT_API, RESERVED_PREFIX
from idp.directory.resources.models import ApiResource
from idp.directory.roles.models import (
    LONGEST_ROLE_NAME,
    Privilege,
    PrivilegeGroup,
    Role,
    RolePrivilege,
    UserRole,
)
from idp.directory.tenants.models import Tenant
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.stamps import new_stamp
from idp.platform.translation import N_, filled

# Commas separate codes in the text form of the `permission` claim; spaces separate scopes.
_CODE = re.compile(r"[^\s,/\\\"']+")
LONGEST_CODE = 200
# Paths of the user service that have the place of a role's code.
_RESERVED_ROLES = frozenset({"privilege-list", "role-privilege-list"})
MOST_LEVELS = 30
"""Levels of groups, so that the tree fits into one response."""
DEFAULT_ROLES = ("users", "developer")
"""Platform roles that every new account gets; they give nobody special rights."""


def assign_default_roles(session: Session, user_id: int) -> None:
    """Assign to a person the roles that everybody has."""
    for code in DEFAULT_ROLES:
        role = find_role(session, code, None)
        if role is not None:
            assign(session, user_id, role)


def find_role(session: Session, code: str, tenant_id: int | None) -> Role | None:
    """Find a role of a tenant, or (no tenant) of the platform."""
    in_tenant = Role.tenant_id.is_(None) if tenant_id is None else Role.tenant_id == tenant_id
    return session.scalar(select(Role).where(Role.code == code, in_tenant))


def create_role(session: Session, code: str, name: str, *, tenant_id: int | None = None) -> Role:
    """Create a role without privileges; codes of platform roles are reserved everywhere."""
    role = insert_role(session, code, name, tenant_id=tenant_id)
    state = state_of(role)
    audit.record_change(
        session, Tag.ROLE_CREATED, f"role:{role.id}", {}, state, tenant_id=tenant_id
    )
    return role


def state_of(role: Role) -> dict[str, Any]:
    """Return what the audit log compares of a role."""
    return {
        "role": role.code,
        "name": role.name,
        "bundle": role.bundle_code,
        "claims": Rows({row.id: (row.type, row.value) for row in role.claims}),
        "privileges": Rows({row.id: row.code for row in role.privileges}),
    }


def insert_role(session: Session, code: str, name: str, *, tenant_id: int | None) -> Role:
    """Insert a role without recording it."""
    check_role_code(session, code, tenant_id)
    role = Role(code=code, name=name, tenant_id=tenant_id)
    try:
        with session.begin_nested():
            session.add(role)
    except IntegrityError:
        raise _role_taken(code) from None
    return role


def rename_role(session: Session, role: Role, code: str) -> None:
    """Change the code of a role."""
    check_role_code(session, code, role.tenant_id, but_id=role.id)
    try:
        with session.begin_nested():
            role.code = code
    except IntegrityError:
        raise _role_taken(code) from None


def check_role_code(session: Session, code: str, tenant_id: int | None, *, but_id: int = 0) -> None:
    """Refuse a code that is malformed, or that another role has."""
    check_code(code, LONGEST_ROLE_NAME)
    if code in _RESERVED_ROLES:
        raise BadRequest.at("code", N_("This code is reserved."))
    # Roles of tenants may be named concurrently, roles of the platform one by one: otherwise
    # both could take the same code at the same time.
    turn = select(Tenant.id).where(Tenant.id == PLATFORM_TENANT_ID)
    session.execute(turn.with_for_update(read=tenant_id is not None, key_share=tenant_id is None))
    # Some services compare codes without regard to case.
    alike = func.lower(Role.code) == code.lower()
    if tenant_id is None:
        same = or_(Role.code == code, and_(Role.tenant_id.is_not(None), alike))
    else:
        same = or_(
            and_(Role.tenant_id == tenant_id, Role.code == code),
            and_(Role.tenant_id.is_(None), alike),
        )
    others = select(Role.id).where(same, Role.id != but_id).limit(1)
    if session.scalar(others) is not None:
        raise _role_taken(code)


def check_tenant_role_code(session: Session, code: str) -> None:
    """Refuse what cannot be the code of a role in any tenant: malformed, or the platform's."""
    check_code(code, LONGEST_ROLE_NAME)
    alike = select(Role.id).where(Role.tenant_id.is_(None), func.lower(Role.code) == code.lower())
    if session.scalar(alike.limit(1)) is not None:
        raise BadRequest.at(
            "code", filled(N_("The code %(code)s is reserved for the platform."), code=code)
        )


def create_group(
    session: Session, code: str, name: str, *, parent_id: int | None = None, sort: int = 0
) -> PrivilegeGroup:
    """Create a node of the privilege tree."""
    check_code(code)
    _check_level(session, parent_id)
    group = PrivilegeGroup(code=code, name=name, parent_id=parent_id, sort=sort)
    try:
        with session.begin_nested():
            session.add(group)
    except IntegrityError:
        raise _taken(code) from None
    return group


def create_privilege(
    session: Session,
    code: str,
    name: str,
    *,
    group_id: int | None = None,
    api_resource_id: int | None = None,
    sort: int = 0,
) -> Privilege:
    """Create a privilege; without an API it counts in the tokens of every API that requests it."""
    check_code(code)
    if code.lower().startswith(RESERVED_PREFIX):
        raise BadRequest.at(
            "code",
            filled(
                N_("Codes that begin with %(reserved_prefix)s are reserved for the product."),
                reserved_prefix=RESERVED_PREFIX,
            ),
        )
    privilege = Privilege(
        code=code, name=name, group_id=group_id, api_resource_id=api_resource_id, sort=sort
    )
    try:
        with session.begin_nested():
            session.add(privilege)
    except IntegrityError:
        raise _taken(code) from None
    audit.record(session, Tag.PRIVILEGE_CREATED, target=f"privilege:{privilege.code}")
    return privilege


def find_privilege(session: Session, code: str) -> Privilege | None:
    """Find a privilege by its code."""
    return session.scalar(select(Privilege).where(Privilege.code == code))


def get_named(session: Session, code: str) -> tuple[Privilege, str | None, str | None]:
    """Return a privilege with the names of its API and its group."""
    row = session.execute(_select_named().where(Privilege.code == code)).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such privilege."))
    privilege, api, group = row
    return privilege, api, group


def find_visible(session: Session, code: str, tenant_id: int) -> Privilege | None:
    """Find a privilege that roles of a tenant can carry (see `list_visible`)."""
    owner = ApiResource.tenant_id
    query = (
        select(Privilege)
        .outerjoin(ApiResource, ApiResource.id == Privilege.api_resource_id)
        .where(Privilege.code == code, or_(owner.is_(None), owner == tenant_id))
    )
    return session.scalar(query)


def find_group(session: Session, code: str) -> PrivilegeGroup | None:
    """Find a node of the privilege tree by its code."""
    return session.scalar(select(PrivilegeGroup).where(PrivilegeGroup.code == code))


def list_privileges(
    session: Session,
    *,
    search: str | None = None,
    api_resource_id: int | None = None,
    after: str = "",
    limit: int = 1000,
) -> list[tuple[Privilege, str | None, str | None]]:
    """Return a page of privileges by code, each with the names of its API and its group."""
    query = _select_named().where(Privilege.code > after).order_by(Privilege.code).limit(limit)
    if search:
        query = query.where(
            or_(
                Privilege.code.contains(search, autoescape=True),
                Privilege.name.contains(search, autoescape=True),
            )
        )
    if api_resource_id is not None:
        query = query.where(Privilege.api_resource_id == api_resource_id)
    return [(privilege, api, group) for privilege, api, group in session.execute(query)]


def list_visible(
    session: Session,
    tenant_id: int | None,
    *,
    search: str | None = None,
    api_resource_id: int | None = None,
    limit: int = 1000,
) -> list[tuple[Privilege, ApiResource | None]]:
    """Return enabled privileges that a tenant's roles can carry, by API and code.

    Those of the management API come last. Those of other tenants' APIs are left out; roles of the
    platform (no tenant) can carry all.
    """
    query = (
        select(Privilege, ApiResource)
        .outerjoin(ApiResource, ApiResource.id == Privilege.api_resource_id)
        .where(Privilege.status == 1)
        .order_by(
            case((ApiResource.name == MANAGEMENT_API, 2), (ApiResource.name.is_(None), 1), else_=0),
            ApiResource.name,
            Privilege.code,
        )
        .limit(limit)
    )
    if tenant_id is not None:
        owner = ApiResource.tenant_id
        query = query.where(or_(owner.is_(None), owner == tenant_id))
    if search:
        columns = (Privilege.code, Privilege.name)
        query = query.where(or_(*(one.icontains(search, autoescape=True) for one in columns)))
    if api_resource_id is not None:
        query = query.where(Privilege.api_resource_id == api_resource_id)
    return [(privilege, api) for privilege, api in session.execute(query)]


def add_privilege(session: Session, role: Role, privilege: Privilege) -> bool:
    """Add a privilege to a role; return whether it is new there."""
    key = (role.id, privilege.id)
    if session.get(RolePrivilege, key) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(RolePrivilege(role_id=role.id, privilege_id=privilege.id))
            role.concurrency_stamp = new_stamp()
    except IntegrityError:
        return False
    audit.record_change(
        session,
        Tag.ROLE_CHANGED,
        f"role:{role.id}",
        {},
        {"privileges": Rows({privilege.id: privilege.code})},
        tenant_id=role.tenant_id,
    )
    return True


def assign(session: Session, user_id: int, role: Role) -> bool:
    """Assign a role to a person; return whether it is new."""
    if session.get(UserRole, (user_id, role.id)) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(UserRole(user_id=user_id, role_id=role.id))
    except IntegrityError:
        if session.get(UserRole, (user_id, role.id)) is not None:
            return False
        raise NotFound(N_("There is no such user.")) from None
    audit.record(
        session,
        Tag.ROLE_GIVEN,
        tenant_id=role.tenant_id,
        target=f"user:{user_id}",
        details={"role": role.code},
    )
    return True


def check_code(code: str, longest: int = LONGEST_CODE) -> None:
    """Refuse what cannot be a code: of a role, a privilege, an application and the like."""
    if not _CODE.fullmatch(code) or not code.isprintable() or len(code) > longest:
        raise BadRequest.at(
            "code",
            filled(
                N_(
                    "A code must have 1 to %(longest)s characters,"
                    " no spaces, commas, slashes or quotes."
                ),
                longest=longest,
            ),
        )
    if code.isnumeric():
        raise BadRequest.at("code", N_("A code must not consist of digits only."))


def _select_named() -> Select[Privilege, str | None, str | None]:
    return (
        select(Privilege, ApiResource.name, PrivilegeGroup.code)
        .outerjoin(ApiResource, ApiResource.id == Privilege.api_resource_id)
        .outerjoin(PrivilegeGroup, PrivilegeGroup.id == Privilege.group_id)
    )


def _check_level(session: Session, parent_id: int | None) -> None:
    for _ in range(MOST_LEVELS):
        parent = None if parent_id is None else session.get(PrivilegeGroup, parent_id)
        if parent is None:
            return
        parent_id = parent.parent_id
    raise BadRequest.at(
        "parent_id",
        filled(
            N_("Groups can be nested at most %(most_levels)s levels deep."), most_levels=MOST_LEVELS
        ),
    )


def _role_taken(code: str) -> Conflict:
    return Conflict.at(
        "code", filled(N_("The code %(code)s is taken."), code=code), code="role_taken"
    )


def _taken(code: str) -> Conflict:
    return Conflict.at("code", filled(N_("The code %(code)s is taken."), code=code))
