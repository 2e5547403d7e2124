"""What policies require of people, of whom several may apply."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from idp.directory.policies import rules
from idp.directory.policies.models import Policy
from idp.directory.policies.rules import Required
from idp.directory.tenants.models import Membership
from idp.platform.cache import looked_up
from idp.platform.issuer import PLATFORM_TENANT_ID

_OF_PLATFORM = Policy.tenant_id == PLATFORM_TENANT_ID


def find_row(session: Session, tenant_id: int) -> Policy | None:
    """Find what a tenant sets."""
    return session.scalar(select(Policy).where(Policy.tenant_id == tenant_id))


@looked_up("policies set")
def any_set(session: Session) -> bool:
    """Return whether any policy is set; cached."""
    return session.scalar(select(Policy.id).limit(1)) is not None


@looked_up("passwords expire")
def any_expiry(session: Session) -> bool:
    """Return whether passwords expire anywhere; cached."""
    query = select(Policy.id).where(Policy.password_expiry_days > 0).limit(1)
    return session.scalar(query) is not None


def of_tenant(session: Session, tenant_id: int | None) -> Required:
    """Return what the platform and one tenant require of the people of that tenant."""
    return _combined(session, Policy.tenant_id == tenant_id)


def of_user(session: Session, user_id: int) -> Required:
    """Return what the platform and all tenants of a person require: one query, or none.

    A tenant to which somebody else has bound the person counts from their first sign-in there.
    """
    joined = select(Membership.tenant_id).where(
        Membership.user_id == user_id, Membership.is_bound.is_(False)
    )
    return _combined(session, Policy.tenant_id.in_(joined))


def of_platform(session: Session) -> Required:
    """Return the floor: what the platform requires of everybody."""
    return _combined(session)


def _combined(session: Session, *others: ColumnElement[bool]) -> Required:
    if not any_set(session):
        return rules.NOTHING
    return rules.combined(session.scalars(select(Policy).where(or_(_OF_PLATFORM, *others))))
