"""The organisations of a person: which are offered, their roles there, and switching."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from idp.directory.roles.catalogue import DEFAULT_ROLES
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import UserClaim
from idp.oauth import pending
from idp.oauth.visitor import Visitor
from idp.platform.errors import NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer


@dataclass(frozen=True, slots=True)
class Organisation:
    """A tenant that a person belongs to."""

    id: int
    name: str
    logo_uri: str | None
    is_admin: bool
    is_bound: bool
    """The tenant bound the account, and its person has not signed in for it yet."""
    roles: tuple[str, ...]
    """Names of the person's roles there, without those that everybody has."""


def list_offered(session: Session, user_id: int, issuer: Issuer) -> list[Organisation]:
    """List the organisations that a person may sign in for at an issuer, by name.

    The platform is left out where the person is a member like everybody, without rights of their
    own, and belongs to another organisation that they have signed in for or that created their
    account. An organisation that merely bound the account does not count: whoever it bound would
    have no other choice, and signing in there lets it change the account.
    """
    rows = session.execute(
        select(Tenant.id, Tenant.name, Tenant.logo_uri, Membership.is_admin, Membership.is_bound)
        .join(Membership, Membership.tenant_id == Tenant.id)
        .where(
            Membership.user_id == user_id,
            Tenant.issuer_tenant_id == issuer.tenant_id,
            Tenant.status == TenantStatus.ENABLED,
        )
        .order_by(Tenant.name, Tenant.id)
    ).all()
    roles = _roles(session, user_id, [row.id for row in rows])
    found = [Organisation(*row, roles=roles[row.id]) for row in rows]
    if any(other.id != PLATFORM_TENANT_ID and not other.is_bound for other in found):
        found = [
            one
            for one in found
            if one.id != PLATFORM_TENANT_ID or not _is_like_everybody(session, user_id, one)
        ]
    return found


def find_only(organisations: Iterable[Organisation]) -> Organisation | None:
    """Return the one organisation that needs no choice; None when the person must be asked."""
    offered = list(organisations)
    if len(offered) == 1 and not offered[0].is_bound:
        return offered[0]
    return None


def switch(session: Session, issuer: Issuer, visitor: Visitor, tenant_id: int) -> None:
    """Have the next sign-ins at applications count for an organisation; raise NotFound if unknown.

    Applications that are signed in already keep theirs.
    """
    offered = list_offered(session, visitor.user.id, issuer)
    if tenant_id not in {organisation.id for organisation in offered}:
        raise NotFound
    pending.remember_tenant(session, visitor.browser, tenant_id)


def _roles(session: Session, user_id: int, tenant_ids: list[int]) -> Mapping[int, tuple[str, ...]]:
    """Return the names of a person's roles by tenant; roles of the platform count there."""
    rows = session.execute(
        select(Role.tenant_id, Role.name)
        .join(UserRole, UserRole.role_id == Role.id)
        .where(
            UserRole.user_id == user_id,
            or_(
                Role.tenant_id.in_(tenant_ids),
                Role.tenant_id.is_(None) & Role.code.not_in(DEFAULT_ROLES),
            ),
        )
        .order_by(Role.name, Role.id)
    )
    found: defaultdict[int, tuple[str, ...]] = defaultdict(tuple)
    for tenant_id, name in rows:
        found[tenant_id or PLATFORM_TENANT_ID] += (name,)
    return found


def _is_like_everybody(session: Session, user_id: int, platform: Organisation) -> bool:
    """Return whether a member of the platform has no rights of their own there."""
    if platform.is_admin or platform.roles:
        return False
    granted = exists().where(
        UserClaim.user_id == user_id,
        UserClaim.type == "permission",
        or_(UserClaim.tenant_id.is_(None), UserClaim.tenant_id == PLATFORM_TENANT_ID),
    )
    return not session.scalar(select(granted))
