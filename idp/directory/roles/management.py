"""Managing roles: names, claims and privileges at once, within the reach of the actor.

A claim of type `permission` is how managers see a privilege that the role carries. It has no row of
its own and so no id: the role has the privilege or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import ColumnElement, Select, func, insert, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, subqueryload

from idp.directory import child_rows, permissions
from idp.directory.actor import Actor
from idp.directory.child_rows import DesiredRow
from idp.directory.roles import catalogue
from idp.directory.roles.models import (
    Privilege,
    Role,
    RoleClaim,
    RolePrivilege,
    UserRole,
)
from idp.directory.scopes import Scope
from idp.directory.tenants.models import Tenant
from idp.platform import stamps
from idp.platform.audit import service as audit
from idp.platform.audit.difference import State
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound, Overreach, Unprocessable
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_, filled

PERMISSION = "permission"


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim of everybody in the role; id 0: a new one, or a privilege."""

    type: str
    value: str
    id: int = 0
    role_id: int = 0


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """All values of a role."""

    code: str
    name: str | None = None
    """Name shown to people; None: the code."""
    claims: Sequence[ClaimRow] | None = None
    """None: as they are; empty: none."""
    tenant_id: int | None = None
    """None: the actor's, or as it is."""
    concurrency_stamp: str | None = None
    """Stamp of the state that was read; None: not compared."""


def list_query(actor: Actor) -> Select[Role]:
    """Return the query of the roles in reach, with their claims and privileges."""
    # By subquery: two statements however many roles there are, since the list has no pages.
    children = (subqueryload(Role.claims), subqueryload(Role.privileges))
    return select(Role).where(_in_reach(actor)).order_by(Role.id).options(*children)


def get(session: Session, actor: Actor, role_id: int) -> Role:
    """Return a role in reach, as the database has it now."""
    query = list_query(actor).where(Role.id == _bounded(role_id))
    role = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if role is None:
        raise NotFound
    return role


def claims(role: Role) -> list[ClaimRow]:
    """Return the claims of a role, its privileges last."""
    return [
        *(ClaimRow(row.type, row.value, row.id, role.id) for row in role.claims),
        *(ClaimRow(PERMISSION, row.code, 0, role.id) for row in role.privileges),
    ]


def create(
    session: Session, actor: Actor, spec: RoleSpec, *, reserved_claims: Collection[str]
) -> Role:
    """Create a role of the actor's tenant; an administrator's belongs to the platform.

    `reserved_claims` are names that rows cannot have: they would never be sent.
    """
    tenant_id = _tenant_of_new(session, actor, spec)
    role = catalogue.insert_role(session, spec.code, _name(spec), tenant_id=tenant_id)
    _set_claims(session, actor, role, spec.claims, reserved_claims)
    session.flush()
    _record(session, role, Tag.ROLE_CREATED, {}, catalogue.state_of(role))
    return role


def replace(
    session: Session,
    actor: Actor,
    role_id: int,
    spec: RoleSpec,
    *,
    reserved_claims: Collection[str],
) -> Role:
    """Replace a role; without a difference nothing changes, not even the stamp."""
    role = _lock(session, actor, role_id)
    stamps.check(role.concurrency_stamp, spec.concurrency_stamp)
    if spec.tenant_id not in {None, role.tenant_id}:
        raise Unprocessable.at("tenant_id", N_("The tenant of a role cannot be changed."))
    before = catalogue.state_of(role)
    if spec.code != role.code:
        if _is_built_in(role):
            text = filled(
                N_("The role %(code)s is built in and cannot be renamed."), code=role.code
            )
            raise Unprocessable.at("code", text)
        catalogue.rename_role(session, role, spec.code)
    role.name = _name(spec)
    _set_claims(session, actor, role, spec.claims, reserved_claims)
    _record_if_changed(session, role, before)
    return role


def set_privileges(
    session: Session,
    actor: Actor,
    role_id: int,
    codes: Iterable[str],
    *,
    field: str,
    concurrency_stamp: str | None = None,
) -> None:
    """Replace the privileges of a role; `field` is named in refusals.

    `concurrency_stamp` is that of the state that was read; None: not compared.
    """
    role = _lock(session, actor, role_id)
    stamps.check(role.concurrency_stamp, concurrency_stamp)
    before = catalogue.state_of(role)
    _set_privileges(session, actor, role, dict.fromkeys(codes, field))
    _record_if_changed(session, role, before)


def delete(session: Session, actor: Actor, role_id: int) -> None:
    """Delete a role that nobody has."""
    role = _lock(session, actor, role_id)
    if _is_built_in(role):
        text = filled(N_("The role %(code)s is built in and cannot be deleted."), code=role.code)
        raise Unprocessable.at("id", text)
    holders = session.scalar(select(func.count()).where(UserRole.role_id == role.id))
    if holders:
        raise _in_use(
            filled(
                N_("Still assigned to %(holders)s users. Remove it from them first."),
                holders=holders,
            )
        )
    before = catalogue.state_of(role)
    try:
        with session.begin_nested():
            session.delete(role)
    except IntegrityError:
        raise _in_use(N_("Still assigned to users. Remove it from them first.")) from None
    _record(session, role, Tag.ROLE_DELETED, before, {})


def _in_reach(actor: Actor) -> ColumnElement[bool]:
    """Return in SQL which roles exist for the actor."""
    return true() if actor.owner_tenant is None else Role.tenant_id == actor.tenant_id


def _lock(session: Session, actor: Actor, role_id: int) -> Role:
    """Lock a role until the end of the transaction, then read it."""
    # With its key: nobody gets the role while it is deleted. SQLite has one writer anyway.
    lock = select(Role.id).where(Role.id == _bounded(role_id), _in_reach(actor))
    if session.scalar(lock.with_for_update()) is None:
        raise NotFound
    return get(session, actor, role_id)


def _bounded(role_id: int) -> int:
    if role_id > INT64_MAX:
        raise NotFound
    return role_id


def _record_if_changed(session: Session, role: Role, before: State) -> None:
    """Renew the stamp of a changed role, and record the change."""
    session.flush()
    after = catalogue.state_of(role)
    if before != after:
        role.concurrency_stamp = stamps.new_stamp()
        session.flush()
        _record(session, role, Tag.ROLE_CHANGED, before, after)


def _tenant_of_new(session: Session, actor: Actor, spec: RoleSpec) -> int | None:
    if actor.owner_tenant is not None:
        if spec.tenant_id not in {None, actor.tenant_id}:
            raise Overreach.at("tenant_id", "You can create roles in your own tenant only.")
        return actor.tenant_id
    if spec.tenant_id is not None and session.get(Tenant, spec.tenant_id) is None:
        raise BadRequest.at("tenant_id", N_("There is no such tenant."))
    return spec.tenant_id


def _name(spec: RoleSpec) -> str:
    name = (spec.name or "").strip() or spec.code
    if not name.isprintable():
        raise BadRequest.at("name", N_("A name must have printable characters only."))
    return name


def _is_built_in(role: Role) -> bool:
    return role.tenant_id is None and role.code in permissions.BUILT_IN


def _set_claims(
    session: Session,
    actor: Actor,
    role: Role,
    desired: Sequence[ClaimRow] | None,
    reserved: Collection[str],
) -> None:
    """Replace claims and privileges; None leaves them as they are."""
    if desired is None:
        return
    codes: dict[str, str] = {}
    rows: list[DesiredRow[ClaimRow]] = []
    for index, entry in enumerate(desired):
        path = f"claims[{index}]"
        if entry.type != PERMISSION:
            rows.append(DesiredRow(path, entry.id, (entry.type, entry.value), entry))
        elif entry.id:
            raise BadRequest.at(f"{path}.id", N_("A permission has no id; leave it out."))
        else:
            codes |= dict.fromkeys(_codes(entry.value, path), f"{path}.value")
    _set_rows(session, role, rows, reserved)
    _set_privileges(session, actor, role, codes)


def _set_rows(
    session: Session, role: Role, desired: Sequence[DesiredRow[ClaimRow]], reserved: Collection[str]
) -> None:
    def write(row: RoleClaim, entry: ClaimRow, path: str) -> None:
        if (row.type, row.value) == (entry.type, entry.value):
            return
        if entry.type in reserved or not entry.type.strip():
            raise BadRequest.at(f"{path}.type", N_("A role cannot have claims of this type."))
        row.type, row.value = entry.type, entry.value

    child_rows.replace(
        session, role.claims, desired, columns=("type", "value"), make=RoleClaim, write=write
    )


def _codes(text: str, path: str) -> list[str]:
    """Read the codes of a claim: one, or several with commas as old tools write them."""
    codes = [code for code in map(str.strip, text.split(",")) if code]
    if not codes:
        raise BadRequest.at(f"{path}.value", N_("No permission named."))
    return codes


def _set_privileges(session: Session, actor: Actor, role: Role, desired: Mapping[str, str]) -> None:
    """Replace the privileges of a role; the mapping has the field that named each code."""
    before = {row.code: row for row in role.privileges}
    removed = [row.id for code, row in before.items() if code not in desired]
    new = {code: field for code, field in desired.items() if code not in before}
    added = _grantable(session, actor, role.tenant_id, new)
    if role.tenant_id is None and role.code == permissions.ADMINISTRATORS:
        _check_administrators(before, desired)
    if removed:
        session.execute(
            sqlalchemy.delete(RolePrivilege).where(
                RolePrivilege.role_id == role.id, RolePrivilege.privilege_id.in_(removed)
            )
        )
    if added:
        session.execute(
            insert(RolePrivilege),
            [{"role_id": role.id, "privilege_id": row.id} for row in added],
        )
    if removed or added:
        session.expire(role, ["privileges"])


def _grantable(
    session: Session, actor: Actor, tenant_id: int | None, desired: Mapping[str, str]
) -> Sequence[Privilege]:
    """Return privileges; refuse them unless the actor may grant all in the tenant."""
    if not desired:
        return []
    found = session.scalars(select(Privilege).where(Privilege.code.in_(desired))).all()
    unknown = desired.keys() - {privilege.code for privilege in found}
    missing = actor.lacking(session, tenant_id, found)
    if unknown or missing:
        # One message for both, so that it does not reveal which permissions exist.
        refusal = Overreach if missing else BadRequest
        raise refusal(
            "You cannot grant all of these permissions.",
            code="unknown_privilege",
            fields={
                desired[code]: [N_("There is no such permission, or you cannot grant it here.")]
                for code in sorted(unknown.union(missing))
            },
        )
    return found


def _check_administrators(before: Collection[str], desired: Collection[str]) -> None:
    if Scope.ALL in before and Scope.ALL not in desired:
        raise BadRequest.at(
            "claims", filled(N_("Administrators cannot lose %(all)s."), all=Scope.ALL)
        )


def _record(session: Session, role: Role, tag: Tag, before: State, after: State) -> None:
    target = f"role:{role.id}"
    audit.record_change(session, tag, target, before, after, tenant_id=role.tenant_id)


def _in_use(message: str) -> Conflict:
    return Conflict.at("id", message, code="role_bound")
