"""Applying a bundle to a tenant: the roles that it adds, and what it removes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.bundles import ability
from idp.directory.bundles.ability import AbilityRole
from idp.directory.bundles.models import Bundle
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege, Role, RolePrivilege
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import UserClaim
from idp.platform import stamps
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows, State
from idp.platform.audit.tags import Tag
from idp.platform.db import bump_configuration, count_hits
from idp.platform.errors import Conflict, NotFound
from idp.platform.translation import N_


def initialise(session: Session, tenant_id: int, bundle: Bundle) -> None:
    """Set the first bundle of a tenant, and create its roles."""
    tenant = _tenant(session, tenant_id)
    if tenant.bundle_code is not None:
        raise Conflict(N_("The tenant already has a bundle."), code="bundle_initialised")
    _change(session, tenant, bundle)
    for spec in ability.read(bundle.ability).roles:
        _create(session, tenant_id, bundle, spec)


def switch(session: Session, tenant_id: int, bundle: Bundle) -> None:
    """Replace the bundle of a tenant.

    Roles of the old one get the privileges of the new one; those that it does not have are deleted,
    or stay without privileges while people have them. The tenant's own roles and
    direct grants keep only what the new bundle contains.
    """
    tenant = _tenant(session, tenant_id)
    if tenant.bundle_code is None:
        raise Conflict(N_("The tenant has no bundle yet."), code="bundle_not_initialised")
    if tenant.bundle_code == bundle.code:
        raise Conflict(N_("The tenant already has this bundle."), code="same_bundle")
    _change(session, tenant, bundle)
    desired = {role.code: role for role in ability.read(bundle.ability).roles}
    existing = session.scalars(
        select(Role).where(Role.tenant_id == tenant_id).with_for_update()
    ).all()
    own = [role for role in existing if role.bundle_code is None]
    for role in existing:
        if role.bundle_code is not None and role.code not in desired:
            _drop(session, role)
        elif role.bundle_code is not None:
            _update(session, role, bundle, desired.pop(role.code))
    for spec in desired.values():
        _create(session, tenant_id, bundle, spec)
    _remove_excess(session, tenant_id, own, bundle)


def assign_administrator_roles(session: Session, tenant_id: int, user_id: int) -> None:
    """Assign to a person the roles that the tenant's bundle has for administrators."""
    codes = session.scalar(
        select(Bundle.ability)
        .join(Tenant, Tenant.bundle_code == Bundle.code)
        .where(Tenant.id == tenant_id)
    )
    for code in ability.read(codes).admin_role_codes if codes else ():
        role = catalogue.find_role(session, code, tenant_id)
        if role is not None:
            catalogue.assign(session, user_id, role)


def _tenant(session: Session, tenant_id: int) -> Tenant:
    tenant = session.get(Tenant, tenant_id, populate_existing=True)
    if tenant is None:
        raise NotFound(N_("There is no such tenant."))
    return tenant


def _change(session: Session, tenant: Tenant, bundle: Bundle) -> None:
    """Set the bundle; a tenant without a type gets the bundle's."""
    before = tenant.bundle_code
    if tenant.type_code not in {None, bundle.tenant_type_code}:
        raise Conflict(N_("The bundle is for another type of tenant."), code="other_tenant_type")
    # Of two at the same time, the second one finds another bundle than it has read.
    changed = count_hits(
        session,
        update(Tenant)
        .where(Tenant.id == tenant.id, Tenant.bundle_code.is_not_distinct_from(before))
        .values(
            bundle_code=bundle.code,
            type_code=bundle.tenant_type_code,
            concurrency_stamp=stamps.new_stamp(),
        )
        .execution_options(synchronize_session=False),
    )
    if not changed:
        raise Conflict(
            N_("The bundle of this tenant was changed by someone else. Try again."),
            code="bundle_initialised",
        )
    session.refresh(tenant)
    bump_configuration(session)
    audit.record_change(
        session,
        Tag.TENANT_BUNDLE_SET,
        f"tenant:{tenant.id}",
        {"bundle": before},
        {"bundle": bundle.code},
        tenant_id=tenant.id,
    )


def _create(session: Session, tenant_id: int, bundle: Bundle, spec: AbilityRole) -> None:
    role = catalogue.create_role(session, spec.code, spec.name, tenant_id=tenant_id)
    role.bundle_code = bundle.code
    _set_privileges(session, role, spec.privilege_codes)


def _update(session: Session, role: Role, bundle: Bundle, spec: AbilityRole) -> None:
    before = catalogue.state_of(role)
    role.name, role.bundle_code = spec.name, bundle.code
    _set_privileges(session, role, spec.privilege_codes)
    _record_change(session, role, before, catalogue.state_of(role))


def _drop(session: Session, role: Role) -> None:
    """Delete a role that nobody has; a role in use stays, without privileges."""
    before = catalogue.state_of(role)
    try:
        with session.begin_nested():
            session.execute(delete(Role).where(Role.id == role.id))
    except IntegrityError:
        _set_privileges(session, role, ())
        _record_change(session, role, before, catalogue.state_of(role))
        return
    session.expunge(role)
    target = f"role:{role.id}"
    audit.record_change(session, Tag.ROLE_DELETED, target, before, {}, tenant_id=role.tenant_id)


def _set_privileges(session: Session, role: Role, codes: Collection[str]) -> None:
    """Set the privileges of a role; those deleted in the meantime are left out."""
    session.flush()
    session.execute(delete(RolePrivilege).where(RolePrivilege.role_id == role.id))
    found = select(Privilege.id).where(Privilege.code.in_(codes))
    rows = [{"role_id": role.id, "privilege_id": row} for row in session.scalars(found)]
    if rows:
        session.execute(insert(RolePrivilege), rows)
    session.expire(role, ["privileges"])


def _remove_excess(session: Session, tenant_id: int, own: Sequence[Role], bundle: Bundle) -> None:
    """Remove what the bundle does not contain from the tenant's own roles and direct grants."""
    codes = bundle.privilege_codes
    through = (
        select(Privilege)
        .join(RolePrivilege, RolePrivilege.privilege_id == Privilege.id)
        .where(RolePrivilege.role_id.in_([role.id for role in own]))
    )
    granted = (UserClaim.tenant_id == tenant_id, UserClaim.type == "permission")
    direct = select(Privilege).where(
        Privilege.code.in_(select(UserClaim.value).where(*granted)),
    )
    present = {*session.scalars(through), *session.scalars(direct)}
    beyond = permissions.outside(session, codes, present)
    if not beyond:
        return
    codes_by_id = {row.id: row.code for row in present if row.code in set(beyond)}
    removed = defaultdict[int, Rows](Rows)
    for role_id, privilege_id in session.execute(
        delete(RolePrivilege)
        .where(
            RolePrivilege.role_id.in_([role.id for role in own]),
            RolePrivilege.privilege_id.in_(codes_by_id),
        )
        .returning(RolePrivilege.role_id, RolePrivilege.privilege_id)
    ):
        removed[role_id][privilege_id] = codes_by_id[privilege_id]
    session.execute(delete(UserClaim).where(*granted, UserClaim.value.in_(beyond)))
    for role in own:
        if role.id in removed:
            session.expire(role, ["privileges"])
            _record_change(session, role, {"privileges": removed[role.id]}, {})


def _record_change(session: Session, role: Role, before: State, after: State) -> None:
    role.concurrency_stamp = stamps.new_stamp()
    session.flush()
    target = f"role:{role.id}"
    audit.record_change(session, Tag.ROLE_CHANGED, target, before, after, tenant_id=role.tenant_id)
