"""What an account may do in its tenants, role by role."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.platform.errors import NotFound
from idp.platform.translation import N_


def authorizations(
    session: Session, user_id: int, tenant_ids: Collection[int]
) -> dict[int, dict[str, list[str]]]:
    """Return for each tenant of the account: role code → sorted codes of its privileges.

    Two statements, however many tenants, roles and privileges there are.
    """
    joined = session.scalars(
        select(Membership.tenant_id)
        .where(Membership.user_id == user_id, Membership.tenant_id.in_(tenant_ids))
        .order_by(Membership.tenant_id)
    )
    found: dict[int, dict[str, list[str]]] = {tenant_id: {} for tenant_id in joined}
    counts = and_(Privilege.id == RolePrivilege.privilege_id, Privilege.status == 1)
    held_by = and_(UserRole.role_id == Role.id, UserRole.user_id == Membership.user_id)
    rows = session.execute(
        select(Membership.tenant_id, Role.code, Privilege.code)
        .join(Role, Role.tenant_id == Membership.tenant_id)
        .join(UserRole, held_by)
        .outerjoin(RolePrivilege, RolePrivilege.role_id == Role.id)
        .outerjoin(Privilege, counts)
        .where(Membership.user_id == user_id, Membership.tenant_id.in_(found))
    )
    for tenant_id, role, privilege in rows:
        codes = found[tenant_id].setdefault(role, [])
        if privilege is not None:
            codes.append(privilege)
    # Sorted here: databases sort text each in its own way.
    return {
        tenant_id: {role: sorted(codes) for role, codes in sorted(held.items())}
        for tenant_id, held in found.items()
    }


def of_account(
    session: Session, username: str, tenant_ids: Collection[int], *, everybody: bool
) -> dict[int, dict[str, list[str]]]:
    """Return the same by user name; unless `everybody` is in reach, only for people in a tenant."""
    user = users.find_by_username(session, username)
    found = authorizations(session, user.id, tenant_ids) if user is not None else {}
    if user is None or not (found or everybody):
        raise NotFound(N_("There is no such account."))
    return found
