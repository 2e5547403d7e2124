"""Who manages, and whom he may see, change and give something to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.directory.bundles import service as bundles
from idp.directory.product import MANAGEMENT_PREFIX
from idp.directory.roles import service as roles
from idp.directory.roles.catalogue import DEFAULT_ROLES
from idp.directory.roles.models import Privilege, Role, UserRole
from idp.directory.roles.service import Permission
from idp.directory.scopes import DEFAULT_PERMISSIONS
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.directory.users.models import User, UserClaim


@dataclass(frozen=True, slots=True)
class Editor:
    """Who manages people, in which tenant."""

    user_id: int
    tenant_id: int
    is_administrator: bool
    """Administrators of the platform reach everybody."""
    at_platform: bool = True
    """Whether platform roles count in what he may give."""
    reserved_claims: Collection[str] = ()
    """Names of claims that rows cannot set: they would never be sent."""

    @property
    def rows_of(self) -> int | None:
        """Tenant that his rows belong to: none (everywhere) for an administrator."""
        return None if self.is_administrator else self.tenant_id


def in_reach(session: Session, editor: Editor) -> list[ColumnElement[bool]]:
    """Tell in SQL whom the editor sees; nobody who is deleted.

    Administrators see everybody, the tenant's owner all its members, and others of those only
    themselves and whom they referred.
    """
    conditions: list[ColumnElement[bool]] = [User.deleted_at.is_(None)]
    if not editor.is_administrator:
        conditions.append(is_member(editor.tenant_id))
        if not owns_tenant(session, editor):
            conditions.append(_below(session, editor))
    return conditions


def members_in_reach(session: Session, editor: Editor) -> list[ColumnElement[bool]]:
    """As `in_reach`, within the tenant even for administrators."""
    conditions = in_reach(session, editor)
    if editor.is_administrator:
        conditions.append(is_member(editor.tenant_id))
    return conditions


def is_member(tenant_id: int) -> ColumnElement[bool]:
    """Tell in SQL who belongs to a tenant."""
    return (
        select(Membership.id)
        .where(Membership.user_id == User.id, Membership.tenant_id == tenant_id)
        .exists()
    )


def owns_tenant(session: Session, editor: Editor) -> bool:
    """Whether the editor is an owner of the tenant."""
    member = tenants.find_member(session, editor.tenant_id, editor.user_id)
    return member is not None and member.is_admin


def visible(editor: Editor, tenant_column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    """Tell in SQL which rows about people the editor sees and writes: those of his tenant."""
    return true() if editor.is_administrator else tenant_column == editor.tenant_id


def may_change_identity(session: Session, editor: Editor, user: User) -> bool:
    """Whether the editor may change name, password, e-mail, mobile and lockout of a person.

    People of several tenants or with a platform role belong to themselves, and so does a person
    whom the tenant has bound and who has not signed in for it. And whoever could take an account
    over must already hold what it may do; the tenant's owner, what it may manage.
    """
    if editor.is_administrator or editor.user_id == user.id:
        return True
    if belongs_to_themselves(session, user.id, editor.tenant_id):
        return False
    held = roles.effective_permissions(session, user.id, editor.tenant_id, platform=False)
    if owns_tenant(session, editor):
        held = [permission for permission in held if permission.code.startswith(MANAGEMENT_PREFIX)]
    else:
        member = tenants.find_member(session, editor.tenant_id, user.id)
        if member is not None and member.is_admin:
            return False
    return lacking(session, editor, held) == []


def may_move(session: Session, editor: Editor, user: User) -> bool:
    """Whether the editor may say who referred a person; nobody chooses his own referrer.

    Lineage holds in all tenants: who brings somebody below himself in one, with all below them,
    sees them in every other. So everybody who moves must be of this tenant alone.
    """
    if editor.is_administrator:
        return True
    if user.id == editor.user_id:
        return False
    below = User.lineage.startswith(users.lineage_below(user), autoescape=True)
    strangers = (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(or_(User.id == user.id, below), Membership.tenant_id != editor.tenant_id)
    )
    return session.scalar(strangers.limit(1)) is None


def belongs_elsewhere(session: Session, user_id: int, tenant_id: int) -> bool:
    """Whether a person has another membership, or more of the platform than everybody has."""
    other = select(Membership.id).where(
        Membership.user_id == user_id, Membership.tenant_id != tenant_id
    )
    found = session.scalar(select(or_(other.exists(), _is_of_the_platform(user_id))))
    return bool(found)


def belongs_to_themselves(session: Session, user_id: int, tenant_id: int) -> bool:
    """Return whether a person belongs elsewhere, or has not signed in for the tenant yet.

    The second holds for accounts that were not made there (`Membership.is_bound`).
    """
    member = tenants.find_member(session, tenant_id, user_id)
    is_bound = member is not None and member.is_bound
    return is_bound or belongs_elsewhere(session, user_id, tenant_id)


def is_of_the_platform(session: Session, user_id: int) -> bool:
    """Whether a person has more of the platform than everybody has."""
    return bool(session.scalar(select(_is_of_the_platform(user_id))))


def _is_of_the_platform(user_id: int) -> ColumnElement[bool]:
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


def lacking(
    session: Session, editor: Editor, privileges: Collection[Privilege | Permission]
) -> list[str]:
    """List the codes of privileges that the editor may not give: they are not his own.

    Administrators of the platform are where permissions come from; they may give any.
    """
    if editor.is_administrator or not privileges:
        return []
    return roles.lacking(
        session, editor.user_id, editor.tenant_id, privileges, platform=editor.at_platform
    )


def ungivable(
    session: Session, editor: Editor, tenant_id: int | None, privileges: Collection[Privilege]
) -> list[str]:
    """As `lacking`, and what the bundle of the tenant (none: the platform) does not contain."""
    missing = set(lacking(session, editor, privileges))
    contained = None if tenant_id is None else bundles.privilege_codes(session, tenant_id)
    if contained is not None:
        missing.update(roles.outside(session, contained, privileges))
    return sorted(missing)


def _below(session: Session, editor: Editor) -> ColumnElement[bool]:
    own = users.get(session, editor.user_id)
    below = User.lineage.startswith(users.lineage_below(own), autoescape=True)
    return or_(User.id == editor.user_id, below)
