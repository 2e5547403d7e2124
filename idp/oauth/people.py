"""Whether a grant still stands: read in one query, checked at every use of what hangs on it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from idp.claims.subject import Subject
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import User
from idp.oauth.models import Grant


@dataclass(frozen=True, slots=True)
class StandingGrant:
    """A grant with its person and tenant, all still in force."""

    grant: Grant
    user: User
    tenant_name: str

    def subject(self, session: Session) -> Subject:
        """Give the person for the claims of a token."""
        return Subject(
            session,
            self.user,
            tenant_id=self.grant.tenant_id,
            tenant_name=self.tenant_name,
            at_platform=self.grant.issuer_tenant_id == 1,
        )


def in_force() -> ColumnElement[bool]:
    """Tell in SQL that a grant is not revoked and its person may still use it.

    The person exists, has the security stamp of the sign-in, and still belongs to the tenant.
    """
    return and_(
        Grant.revoked_at.is_(None),
        User.deleted_at.is_(None),
        User.is_disabled.is_(False),
        User.security_stamp == Grant.security_stamp,
        Tenant.status == TenantStatus.ENABLED,
        Membership.id.is_not(None),
    )


def find_standing(session: Session, grant_id: int) -> StandingGrant | None:
    """Read a grant with its person and tenant; None when it does not stand any more."""
    row = session.execute(
        select(Grant, User, Tenant.name)
        .join(User, User.id == Grant.user_id)
        .join(Tenant, Tenant.id == Grant.tenant_id)
        .outerjoin(
            Membership,
            and_(Membership.user_id == Grant.user_id, Membership.tenant_id == Grant.tenant_id),
        )
        .where(Grant.id == grant_id, in_force())
    ).one_or_none()
    if row is None or not row[1].may_sign_in:
        return None
    return StandingGrant(row[0], row[1], row[2])
