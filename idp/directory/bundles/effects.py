"""Effects of a changed bundle: what its tenants can newly grant, and what they no longer can."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.bundles.models import Bundle
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Loss:
    """A privilege that a bundle no longer contains, and who carries it in its tenants."""

    code: str
    tenants: int
    roles: int
    people: int


@dataclass(frozen=True, slots=True)
class Effects:
    """What a change of a bundle does to the tenants that have it."""

    tenants: int
    gained: Sequence[str]
    """Codes that they can grant from now on."""
    lost: Sequence[Loss]
    """They keep what roles carry until they get another bundle, and cannot grant it again."""


def of(session: Session, bundle: Bundle, after: Collection[str]) -> Effects:
    """Compare the codes that a bundle contains with others, by a constant number of queries."""
    before = bundle.privilege_codes
    concerned = session.scalars(select(Privilege).where(Privilege.code.in_({*before, *after})))
    rows = concerned.all()
    gained = permissions.outside(session, before, [row for row in rows if row.code in after])
    lost = permissions.outside(session, after, [row for row in rows if row.code in before])
    losses = _losses(session, bundle.code, lost)
    return Effects(
        count_tenants(session, [bundle.code])[bundle.code],
        gained,
        [losses.get(code, Loss(code, 0, 0, 0)) for code in lost],
    )


def count_tenants(session: Session, codes: Collection[str]) -> dict[str, int]:
    """Return how many tenants have each of several bundles."""
    query = (
        select(Tenant.bundle_code, func.count())
        .where(Tenant.bundle_code.in_(codes))
        .group_by(Tenant.bundle_code)
    )
    counts = dict(session.execute(query).all())
    return {code: counts.get(code, 0) for code in codes}


def _losses(session: Session, bundle_code: str, codes: Collection[str]) -> dict[str, Loss]:
    query = (
        select(
            Privilege.code,
            func.count(Role.tenant_id.distinct()),
            func.count(Role.id.distinct()),
            func.count(UserRole.user_id.distinct()),
        )
        .join(RolePrivilege, RolePrivilege.privilege_id == Privilege.id)
        .join(Role, Role.id == RolePrivilege.role_id)
        .join(Tenant, Tenant.id == Role.tenant_id)
        .outerjoin(UserRole, UserRole.role_id == Role.id)
        .where(Tenant.bundle_code == bundle_code, Privilege.code.in_(codes))
        .group_by(Privilege.code)
    )
    return {code: Loss(code, *counts) for code, *counts in session.execute(query)}
