"""Which people an actor may see and change."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.permissions import UserId
from idp.directory.product import MANAGEMENT_PREFIX
from idp.directory.roles.catalogue import DEFAULT_ROLES
from idp.directory.roles.models import Privilege, Role, UserRole
from idp.directory.scopes import DEFAULT_PERMISSIONS
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.directory.users.models import User, UserClaim


def in_reach(session: Session, actor: Actor) -> list[ColumnElement[bool]]:
    """Return in SQL which people the actor sees, none of them deleted.

    Administrators see everyone, the tenant's owner all its members, and others of those only
    themselves and whom they referred.
    """
    conditions: list[ColumnElement[bool]] = [User.deleted_at.is_(None)]
    if not actor.is_platform_admin:
        conditions.append(is_member(actor.tenant_id))
        if not owns_tenant(session, actor):
            conditions.append(_below(session, actor))
    return conditions


def members_in_reach(session: Session, actor: Actor) -> list[ColumnElement[bool]]:
    """As `in_reach`, within the tenant even for administrators."""
    conditions = in_reach(session, actor)
    if actor.is_platform_admin:
        conditions.append(is_member(actor.tenant_id))
    return conditions


def is_member(tenant_id: int) -> ColumnElement[bool]:
    """Return in SQL which people belong to a tenant."""
    return (
        select(Membership.id)
        .where(Membership.user_id == User.id, Membership.tenant_id == tenant_id)
        .exists()
    )


def owns_tenant(session: Session, actor: Actor) -> bool:
    """Return whether the actor is an owner of the tenant."""
    if actor.user_id is None:
        return False
    member = tenants.find_member(session, actor.tenant_id, actor.user_id)
    return member is not None and member.is_admin


def visible(actor: Actor, tenant_column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    """Return in SQL which rows about people the actor sees and writes: those of their tenant."""
    return true() if actor.is_platform_admin else tenant_column == actor.tenant_id


def may_change_identity(session: Session, actor: Actor, user: User) -> bool:
    """Return whether the actor may change name, password, e-mail, mobile and lockout of a person.

    People of several tenants or with a platform role belong to themselves, and so does a person
    whom the tenant has bound and who has not signed in for it. An actor who could take an account
    over must already hold what it may do; the tenant's owner, what it may manage.
    """
    if actor.tenant_in_reach is None or actor.user_id == user.id:
        return True
    if belongs_to_themselves(session, user.id, actor.tenant_id):
        return False
    held = permissions.effective_permissions(session, user.id, actor.tenant_id, platform=False)
    if owns_tenant(session, actor):
        held = [permission for permission in held if permission.code.startswith(MANAGEMENT_PREFIX)]
    else:
        member = tenants.find_member(session, actor.tenant_id, user.id)
        if member is not None and member.is_admin:
            return False
    if actor.user_id is None:
        return not held  # a machine does not hold what it may grant
    return actor.lacking(session, None, held) == []


def identity_in_reach(session: Session, actor: Actor) -> ColumnElement[bool]:
    """Return in SQL whose identity the actor may change, as `may_change_identity` of one person."""
    if actor.tenant_in_reach is None:
        return true()
    tenant_id, is_owner = actor.tenant_id, owns_tenant(session, actor)
    excepted = Membership.is_bound if is_owner else or_(Membership.is_bound, Membership.is_admin)
    themselves = select(Membership.id).where(
        Membership.user_id == User.id, Membership.tenant_id == tenant_id, excepted
    )
    missing = _not_grantable(session, actor)
    if is_owner:
        missing = [code for code in missing if code.startswith(MANAGEMENT_PREFIX)]
    return or_(
        User.id == actor.user_id,
        and_(
            not_(_belongs_elsewhere(User.id, tenant_id)),
            not_(themselves.exists()),
            not_(permissions.holds_any(User.id, tenant_id, missing)),
        ),
    )


def _not_grantable(session: Session, actor: Actor) -> list[str]:
    """Return the codes that the actor may not grant; a machine does not hold what it may grant."""
    known = session.scalars(select(Privilege)).all()
    if actor.user_id is None:
        return [privilege.code for privilege in known]
    return actor.lacking(session, None, known)


def may_move(session: Session, actor: Actor, user: User) -> bool:
    """Return whether the actor may set a person's referrer; nobody can set their own.

    Lineage holds in all tenants: an actor who moves people below themselves in one sees them in
    every other. So everyone who is moved must belong to this tenant alone.
    """
    if actor.is_platform_admin:
        return True
    if user.id == actor.user_id:
        return False
    below = User.lineage.startswith(users.lineage_below(user), autoescape=True)
    strangers = (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(or_(User.id == user.id, below), Membership.tenant_id != actor.tenant_id)
    )
    return session.scalar(strangers.limit(1)) is None


def belongs_elsewhere(session: Session, user_id: int, tenant_id: int) -> bool:
    """Return whether a person has another membership, or special platform rights."""
    return bool(session.scalar(select(_belongs_elsewhere(user_id, tenant_id))))


def _belongs_elsewhere(user_id: UserId, tenant_id: int) -> ColumnElement[bool]:
    other = select(Membership.id).where(
        Membership.user_id == user_id, Membership.tenant_id != tenant_id
    )
    return or_(other.exists(), has_platform_rights(user_id))


def belongs_to_themselves(session: Session, user_id: int, tenant_id: int) -> bool:
    """Return whether a person belongs elsewhere, or has not signed in for the tenant yet.

    The second holds for accounts that were not created there (`Membership.is_bound`).
    """
    member = tenants.find_member(session, tenant_id, user_id)
    is_bound = member is not None and member.is_bound
    return is_bound or belongs_elsewhere(session, user_id, tenant_id)


def is_of_the_platform(session: Session, user_id: int) -> bool:
    """Return whether a person has more platform rights than everyone has."""
    return bool(session.scalar(select(has_platform_rights(user_id))))


def has_platform_rights(user_id: UserId) -> ColumnElement[bool]:
    """Return in SQL what `is_of_the_platform` says of one person."""
    important = (
        select(Role.id)
        .join(UserRole, UserRole.role_id == Role.id)
        .where(
            UserRole.user_id == user_id,
            Role.tenant_id.is_(None),
            Role.code.not_in(DEFAULT_ROLES),
        )
    )
    granted = select(UserClaim.id).where(
        UserClaim.user_id == user_id,
        UserClaim.tenant_id.is_(None),
        UserClaim.type == "permission",
        UserClaim.value.not_in(DEFAULT_PERMISSIONS),
    )
    return or_(important.exists(), granted.exists())


def _below(session: Session, actor: Actor) -> ColumnElement[bool]:
    own = users.get(session, actor.person_id)
    below = User.lineage.startswith(users.lineage_below(own), autoescape=True)
    return or_(User.id == actor.user_id, below)
