"""Roles of one tenant, named by code: managing them, and binding them to its members."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.roles import catalogue, management
from idp.directory.roles.management import RoleSpec
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users import service as users
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound, Overreach
from idp.platform.translation import N_

ROLES = "roleCodes"
PRIVILEGES = "privilegeCodes"


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role as callers see it; lists are without privileges."""

    id: int
    code: str
    name: str
    tenant_id: int | None
    privilege_codes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TenantRoleSpec:
    """The values of a role in a request; None: not given."""

    id: int | None
    tenant_id: int | None
    code: str | None
    name: str


def list_all(session: Session, tenant_id: int) -> Sequence[RoleView]:
    """List the roles of a tenant."""
    return _listed(session, Role.tenant_id == tenant_id)


def list_by_codes(session: Session, tenant_id: int, codes: Collection[str]) -> Sequence[RoleView]:
    """List the roles of a tenant that have these codes; others are left out."""
    return _listed(session, Role.tenant_id == tenant_id, Role.code.in_(codes))


def show(session: Session, tenant_id: int, code: str) -> RoleView:
    """Return a role of a tenant with its privileges."""
    role = get(session, tenant_id, code)
    return _view(role, [row.code for row in role.privileges])


def get(session: Session, tenant_id: int, code: str) -> Role:
    """Return a role of a tenant."""
    role = catalogue.find_role(session, code, tenant_id)
    if role is None:
        raise NotFound(N_("There is no such role in the tenant."))
    return role


def find_tenant(session: Session, spec: TenantRoleSpec) -> int | None:
    """Return the tenant of the role that is named, if any."""
    if spec.id is None:
        return spec.tenant_id
    return session.scalar(select(Role.tenant_id).where(Role.id == spec.id))


def get_tenant(session: Session, spec: TenantRoleSpec) -> int:
    """Return the tenant of the role that is named."""
    tenant_id = find_tenant(session, spec)
    if tenant_id is None:
        raise NotFound(N_("There is no such role."))
    return tenant_id


def create(session: Session, actor: Actor, spec: TenantRoleSpec) -> None:
    """Create a role without privileges in the actor's tenant."""
    _refuse_other_tenant(actor, spec)
    if session.get(Tenant, actor.tenant_id) is None:
        raise NotFound(N_("There is no such tenant."))
    content = RoleSpec(code=spec.code or "", name=spec.name, tenant_id=actor.tenant_id)
    management.create(session, actor, content, reserved_claims=())


def rename(session: Session, actor: Actor, spec: TenantRoleSpec) -> None:
    """Rename a role of the actor's tenant, found by id or else by code."""
    _refuse_other_tenant(actor, spec)
    found = session.get(Role, spec.id) if spec.id else None
    role = found or get(session, actor.tenant_id, spec.code or "")
    if spec.code not in {None, role.code}:
        raise BadRequest.at("code", N_("The code of a role cannot be changed."))
    content = RoleSpec(code=role.code, name=spec.name)
    management.replace(session, actor, role.id, content, reserved_claims=())


def remove(session: Session, actor: Actor, code: str) -> None:
    """Delete a role that nobody has; a missing role is no error."""
    role = catalogue.find_role(session, code, actor.tenant_id)
    if role is not None:
        # Another request may have been faster.
        with suppress(NotFound):
            management.delete(session, actor, role.id)


def set_privileges(session: Session, actor: Actor, code: str, privileges: Sequence[str]) -> None:
    """Replace the privileges of a role."""
    role = get(session, actor.tenant_id, code)
    management.set_privileges(session, actor, role.id, privileges, field=PRIVILEGES)


def bind(session: Session, actor: Actor, username: str, codes: Collection[str]) -> None:
    """Bind roles to a member of the tenant; roles that they have already stay.

    Nobody can bind roles with more privileges than they may grant. And only an administrator of the
    tenant or the platform can bind roles to themselves: claims of a role may count elsewhere.
    """
    member, named = _lock(session, actor.tenant_id, username, codes)
    bound = _bound_ids(session, member.user_id, named)
    given = [role for role in named if role.id not in bound]
    if not given:
        return
    is_own = member.user_id == actor.user_id and not actor.is_platform_admin
    if is_own and not member.is_admin:
        raise Overreach.at(ROLES, N_("You cannot assign a role to yourself."))
    carried = permissions.carried(session, [role.id for role in given])
    missing = actor.lacking(session, actor.tenant_id, carried)
    if missing:
        text = N_("You cannot grant permissions that you do not hold")
        raise Overreach.at(ROLES, f"{text}: {', '.join(missing[:10])}.")
    try:
        with session.begin_nested():
            session.add_all(UserRole(user_id=member.user_id, role_id=role.id) for role in given)
    except IntegrityError:
        raise Conflict(
            N_("The roles of this account were changed by someone else. Try again.")
        ) from None
    _record(session, Tag.ROLE_GIVEN, member, given)


def unbind(session: Session, tenant_id: int, username: str, codes: Collection[str]) -> None:
    """Unbind roles from a member of the tenant; roles that they do not have are no error."""
    member, named = _lock(session, tenant_id, username, codes)
    bound = _bound_ids(session, member.user_id, named)
    session.execute(
        delete(UserRole).where(UserRole.user_id == member.user_id, UserRole.role_id.in_(bound))
    )
    _record(session, Tag.ROLE_TAKEN, member, [role for role in named if role.id in bound])


def _refuse_other_tenant(actor: Actor, spec: TenantRoleSpec) -> None:
    if spec.tenant_id not in {None, actor.tenant_id}:
        raise BadRequest.at("tenant_id", N_("The role belongs to another tenant."))


def _listed(session: Session, *conditions: ColumnElement[bool]) -> Sequence[RoleView]:
    roles = session.scalars(select(Role).where(*conditions).order_by(Role.id))
    return [_view(role) for role in roles]


def _view(role: Role, privilege_codes: Sequence[str] = ()) -> RoleView:
    return RoleView(role.id, role.code, role.name, role.tenant_id, privilege_codes)


def _lock(
    session: Session, tenant_id: int, username: str, codes: Collection[str]
) -> tuple[Membership, Sequence[Role]]:
    """Lock a membership and roles against concurrent changes."""
    user = users.find_by_username(session, username)
    member = select(Membership).where(Membership.tenant_id == tenant_id)
    member = member.where(Membership.user_id == (user.id if user else None))
    found = session.scalar(member.with_for_update())
    if found is None:
        # One answer for both, so that it does not reveal members of other tenants.
        raise NotFound(N_("There is no such account in the tenant."))
    named = session.scalars(
        select(Role)
        .where(Role.tenant_id == tenant_id, Role.code.in_(codes))
        .order_by(Role.id)
        .with_for_update(read=True)
    ).all()
    unknown = sorted(set(codes) - {role.code for role in named})
    if unknown:
        text = f"There is no such role in the tenant: {', '.join(unknown[:10])}."
        raise BadRequest.at(ROLES, text, code="unknown_role")
    return found, named


def _bound_ids(session: Session, user_id: int, among: Sequence[Role]) -> set[int]:
    ids = [role.id for role in among]
    query = select(UserRole.role_id).where(UserRole.user_id == user_id, UserRole.role_id.in_(ids))
    return set(session.scalars(query))


def _record(session: Session, tag: Tag, member: Membership, changed: Sequence[Role]) -> None:
    for role in changed:
        audit.record(
            session,
            tag,
            tenant_id=member.tenant_id,
            target=f"user:{member.user_id}",
            details={"role": role.code},
        )
