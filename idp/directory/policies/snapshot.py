"""What policies require of people, of whom several may apply."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, or_, select
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory import levels, permissions
from idp.directory.policies import rules
from idp.directory.policies.models import Policy, RolePolicy
from idp.directory.policies.rules import COLUMNS, PolicySpec, Required
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Membership
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.cache import looked_up
from idp.platform.issuer import PLATFORM_TENANT_ID

_OF_PLATFORM = Policy.tenant_id == PLATFORM_TENANT_ID


def find_row(session: Session, tenant_id: int) -> Policy | None:
    """Find what a tenant sets."""
    return session.scalar(select(Policy).where(Policy.tenant_id == tenant_id))


def find_role_row(session: Session, role_id: int) -> RolePolicy | None:
    """Find what the policy of a role sets."""
    return session.scalar(select(RolePolicy).where(RolePolicy.role_id == role_id))


@looked_up("policies set")
def any_set(session: Session) -> bool:
    """Return whether any policy is set; cached."""
    return session.scalar(select(Policy.id).limit(1)) is not None


@looked_up("passwords expire")
def any_expiry(session: Session) -> bool:
    """Return whether passwords expire anywhere; cached."""
    query = select(Policy.id).where(Policy.password_expiry_days > 0).limit(1)
    return session.scalar(query) is not None


@looked_up("policies of levels")
def any_level(session: Session) -> bool:
    """Return whether a sign-in may have to reach a level, or levels end, anywhere; cached."""
    if runtime.of(session).settings.second_factor == "required":
        return True
    required = Policy.second_factor == rules.SecondFactor.REQUIRED
    query = select(Policy.id).where(or_(required, Policy.level_minutes > 0)).limit(1)
    if session.scalar(query) is not None:
        return True
    return session.scalar(select(RolePolicy.id).limit(1)) is not None


@looked_up("policies of roles")
def with_roles(session: Session) -> frozenset[int]:
    """Return the tenants of which a role has a policy, 1 for roles of the platform; cached."""
    query = select(func.coalesce(Role.tenant_id, PLATFORM_TENANT_ID)).join(
        RolePolicy, RolePolicy.role_id == Role.id
    )
    return frozenset(session.scalars(query.distinct()))


def any_role(tenants: Collection[int], tenant_id: int, issuer_tenant_id: int) -> bool:
    """Return whether a role may have a policy that counts for sign-ins to a tenant.

    `tenants` is what `with_roles` returns.
    """
    is_platform = issuer_tenant_id == PLATFORM_TENANT_ID
    return tenant_id in tenants or (is_platform and PLATFORM_TENANT_ID in tenants)


@looked_up("floor")
def floor(session: Session) -> Required:
    """Return what the platform requires of everybody; cached."""
    return of_platform(session)


@looked_up("policy of a tenant")
def own(session: Session, tenant_id: int) -> Required | None:
    """Return what the platform and a tenant require together; cached.

    None: the tenant sets nothing, or there is none, and the floor applies.
    """
    return None if find_row(session, tenant_id) is None else of_tenant(session, tenant_id)


@looked_up("exempt people")
def exempt_in(session: Session, tenant_id: int) -> Collection[int]:
    """Return of whom the policy of a tenant requires no second factor; cached."""
    query = select(Policy.exempt_user_ids).where(Policy.tenant_id == tenant_id)
    return frozenset(session.scalar(query) or ())


def administrators(tenant_id: int) -> Select[int]:
    """Select the ids of the administrators of a tenant, or of the platform."""
    if tenant_id == PLATFORM_TENANT_ID:
        return permissions.administrators()
    return select(Membership.user_id).where(Membership.tenant_id == tenant_id, Membership.is_admin)


def is_administrator(session: Session, tenant_id: int, user_id: int) -> bool:
    """Return whether a person is an administrator of a tenant, or of the platform."""
    query = select(User.id).where(User.id == user_id, User.id.in_(administrators(tenant_id)))
    return session.scalar(query) is not None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is required of a person who signs in for a tenant."""

    tenant_id: int
    required: Required
    waived: str = levels.PWD
    """Level that would be wanted of them if the tenant had not exempted them."""


def of_person(session: Session, tenant_id: int, issuer_tenant_id: int, user_id: int) -> Asked:
    """Return what is required of a person who signs in for a tenant.

    Who is exempt in a tenant is so of its policy and those of its roles; the floor holds for them
    too. Roles are asked for only where one may have a policy.
    """
    required = own(session, tenant_id) or floor(session)
    if not any_level(session):
        return Asked(tenant_id, required)
    rows: Sequence[Row[RolePolicy, int | None]] = ()
    if any_role(with_roles(session), tenant_id, issuer_tenant_id):
        rows = _roles_of(session, tenant_id, issuer_tenant_id, user_id)
    everything = rules.with_roles(required, [row[0] for row in rows])
    is_exempt = user_id in exempt_in(session, tenant_id)
    if not is_exempt or not is_administrator(session, tenant_id, user_id):
        return Asked(tenant_id, everything)
    is_platform = tenant_id == PLATFORM_TENANT_ID
    above = rules.NOTHING if is_platform else floor(session)
    left = replace(
        required,
        second_factor=above.second_factor,
        level=above.level,
        grace_days=above.grace_days,
    )
    of_platform_roles = [row[0] for row in rows if row[1] is None and not is_platform]
    left = rules.with_roles(left, of_platform_roles)
    return Asked(tenant_id, left, everything.wanted)


def needs_passkeys(session: Session, tenant_id: int) -> bool:
    """Return whether a policy demands passkeys of people of a tenant, or of those with a role."""
    required = of_tenant(session, tenant_id)
    query = select(RolePolicy).join(Role, Role.id == RolePolicy.role_id)
    rows = session.scalars(query.where(Role.tenant_id == tenant_id)).all()
    every = [required, *(rules.with_roles(required, [row]) for row in rows)]
    return any(map(rules.needs_passkeys, every))


def _roles_of(
    session: Session, tenant_id: int, issuer_tenant_id: int, user_id: int
) -> Sequence[Row[RolePolicy, int | None]]:
    """Return the policies of a person's roles, and the tenant of each role."""
    query = select(RolePolicy, Role.tenant_id).join(Role, Role.id == RolePolicy.role_id)
    query = query.join(UserRole, UserRole.role_id == Role.id)
    counts = _role_counts(tenant_id, issuer_tenant_id)
    return session.execute(query.where(counts, UserRole.user_id == user_id)).all()


def of_tenant(session: Session, tenant_id: int | None) -> Required:
    """Return what the platform and one tenant require of the people of that tenant."""
    return _combined(session, Policy.tenant_id == tenant_id)


def of_user(session: Session, user_id: int) -> Required:
    """Return what the platform and all tenants of a person require: one query, or none.

    A tenant to which somebody else has bound the person counts from their first sign-in there.
    """
    if not any_set(session):
        return floor(session)
    joined = select(Membership.tenant_id).where(
        Membership.user_id == user_id, Membership.is_bound.is_(False)
    )
    return _combined(session, Policy.tenant_id.in_(joined))


def of_platform(session: Session) -> Required:
    """Return the floor: what the platform requires of everybody."""
    return _combined(session)


def with_settings(settings: Settings, row: Policy | PolicySpec | None) -> PolicySpec:
    """Return the policy of the platform; what it does not set is as the settings say."""
    values: dict[str, Any] = {name: getattr(row, name, None) for name in COLUMNS}
    if values["second_factor"] is None and settings.second_factor == "required":
        values["second_factor"] = rules.SecondFactor.REQUIRED
    if values["device_days"] is None:
        values["device_days"] = settings.device_days
    for name, most in longest_sessions(settings).items():
        values[name] = most if values[name] is None else min(values[name], most)
    return PolicySpec(**values)


def longest_sessions(settings: Settings) -> dict[str, int]:
    """Return what the settings allow of the columns that say how long sessions last."""
    return {"session_hours": settings.session_hours, "remember_days": settings.remember_days}


def can_send(settings: Settings, address: str) -> bool:
    """Return whether codes can be sent to the addresses of people, `email` or `mobile`."""
    is_set = settings.smtp_url if address == rules.EMAIL else settings.sms_url
    return bool(is_set) or settings.environment == "development"


def _combined(session: Session, *others: ColumnElement[bool]) -> Required:
    rows: Sequence[Policy] = ()
    if any_set(session):
        rows = session.scalars(select(Policy).where(or_(_OF_PLATFORM, *others))).all()
    platform = next((row for row in rows if row.tenant_id == PLATFORM_TENANT_ID), None)
    first = with_settings(runtime.of(session).settings, platform)
    return rules.combined([first, *(row for row in rows if row is not platform)])


def _role_counts(tenant_id: int, issuer_tenant_id: int) -> ColumnElement[bool]:
    """Return in SQL which roles count: those of the tenant, at issuer 1 also the platform's."""
    of_tenant = Role.tenant_id == tenant_id
    is_platform = issuer_tenant_id == PLATFORM_TENANT_ID
    return or_(of_tenant, Role.tenant_id.is_(None)) if is_platform else of_tenant
