"""A role as a whole: names, claims and privileges at once, as managers read and write it.

A claim of type `permission` is how managers see a privilege that the role carries. It has no row of
its own and so no id: the role has the privilege or not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Select, func, insert, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, subqueryload

from idp.directory.roles import catalogue, service
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
from idp.platform.audit import difference
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound, Overreach, Unprocessable
from idp.platform.integers import INT64_MAX

PERMISSION = "permission"


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim of everybody in the role; id 0: a new one, or a privilege."""

    type: str
    value: str
    id: int = 0
    role_id: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """All that is said about a role."""

    code: str
    name: str | None = None
    """What people read; none: the code."""
    claims: Sequence[ClaimRow] | None = None
    """None: as they are; empty: none."""
    tenant_id: int | None = None
    """None: the editor's, or as it is."""
    concurrency_stamp: str | None = None
    """State of the role that was looked at; None: whatever it is by now."""


@dataclass(frozen=True, slots=True)
class Editor:
    """Who manages roles, in which tenant."""

    user_id: int | None
    """None: a machine."""
    tenant_id: int
    is_administrator: bool
    """Administrators of the platform reach all roles; theirs belong to the platform."""
    at_platform: bool
    """Whether platform roles count in what he may give."""
    bundle: Callable[[int], Collection[str] | None]
    """Gives the privilege codes that a tenant's bundle contains; None: no limit."""
    grantable: Collection[str] = ()
    """Privilege codes that a machine may give."""
    reserved_claims: Collection[str] = ()
    """Names of claims that rows cannot set: they would never be sent."""

    @property
    def in_reach(self) -> ColumnElement[bool]:
        """Tell in SQL which roles exist for him."""
        return true() if self.is_administrator else Role.tenant_id == self.tenant_id


def list_all(session: Session, editor: Editor) -> Sequence[Role]:
    """List the roles in reach with their claims and privileges."""
    return session.scalars(_reading(editor).order_by(Role.id)).all()


def get(session: Session, editor: Editor, role_id: int) -> Role:
    """Give a role in reach, as the database has it now."""
    query = _reading(editor).where(Role.id == _bounded(role_id))
    role = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if role is None:
        raise NotFound
    return role


def claims(role: Role) -> list[ClaimRow]:
    """List the claims of a role, its privileges last."""
    return [
        *(ClaimRow(row.type, row.value, row.id, role.id) for row in role.claims),
        *(ClaimRow(PERMISSION, row.code, 0, role.id) for row in role.privileges),
    ]


def create(session: Session, editor: Editor, said: Content) -> Role:
    """Create a role of the editor's tenant; an administrator's belongs to the platform."""
    tenant_id = _tenant_of_new(session, editor, said)
    role = catalogue.insert_role(session, said.code, _name(said), tenant_id=tenant_id)
    before = _state(role)
    _set_claims(session, editor, role, said.claims)
    session.flush()
    _record(session, role, Tag.ROLE_CREATED, [*_names(role), *_changes(before, _state(role))])
    return role


def replace(session: Session, editor: Editor, role_id: int, said: Content) -> Role:
    """Replace what is said about a role; what says the same again changes nothing."""
    role = _hold(session, editor, role_id)
    stamps.check(role.concurrency_stamp, said.concurrency_stamp)
    if said.tenant_id not in {None, role.tenant_id}:
        raise Unprocessable.at("tenant_id", "A role stays in the tenant that it was made for.")
    before = _state(role)
    if said.code != role.code:
        _refuse_built_in(role, "code", "renamed")
        catalogue.rename_role(session, role, said.code)
    role.name = _name(said)
    _set_claims(session, editor, role, said.claims)
    _settle(session, role, before)
    return role


def set_privileges(
    session: Session, editor: Editor, role_id: int, codes: Iterable[str], *, field: str
) -> None:
    """Let a role carry exactly these privileges; `field` is what a refusal names."""
    role = _hold(session, editor, role_id)
    before = _state(role)
    _set_privileges(session, editor, role, dict.fromkeys(codes, field))
    _settle(session, role, before)


def lacking(
    session: Session, editor: Editor, tenant_id: int | None, privileges: Sequence[Privilege]
) -> list[str]:
    """List the codes of privileges that the editor cannot give in a tenant (none: the platform).

    A bundle limits everybody; besides it administrators may give any, a machine what its client
    lists, and others what they hold there.
    """
    if not privileges:
        return []
    missing: set[str] = set()
    contained = None if tenant_id is None else editor.bundle(tenant_id)
    if contained is not None:
        missing.update(service.outside(session, contained, privileges))
    if editor.user_id is None:
        missing.update(service.outside(session, editor.grantable, privileges))
    elif not editor.is_administrator:
        missing.update(
            service.lacking(
                session,
                editor.user_id,
                editor.tenant_id,
                privileges,
                platform=editor.at_platform,
            )
        )
    return sorted(missing)


def delete(session: Session, editor: Editor, role_id: int) -> None:
    """Delete a role that nobody has."""
    role = _hold(session, editor, role_id)
    _refuse_built_in(role, "id", "deleted")
    holders = session.scalar(select(func.count()).where(UserRole.role_id == role.id))
    if holders:
        raise _in_use(f"{holders} people have this role: take it from them first.")
    try:
        with session.begin_nested():
            session.delete(role)
    except IntegrityError:
        raise _in_use("Somebody has this role: take it from them first.") from None
    _record(session, role, Tag.ROLE_DELETED, _names(role))


def _reading(editor: Editor) -> Select[Role]:
    # By subquery: two statements however many roles there are, since the list has no pages.
    children = (subqueryload(Role.claims), subqueryload(Role.privileges))
    return select(Role).where(editor.in_reach).options(*children)


def _hold(session: Session, editor: Editor, role_id: int) -> Role:
    """Lock a role until the end of the transaction, then read it: writers take turns."""
    # With its key: nobody is given the role while it goes away. SQLite has one writer anyway.
    lock = select(Role.id).where(Role.id == _bounded(role_id), editor.in_reach)
    if session.scalar(lock.with_for_update()) is None:
        raise NotFound
    return get(session, editor, role_id)


def _bounded(role_id: int) -> int:
    if role_id > INT64_MAX:
        raise NotFound
    return role_id


def _settle(session: Session, role: Role, before: Mapping[str, Any]) -> None:
    """Stamp and record a role that is not what it was."""
    session.flush()
    changes = _changes(before, _state(role))
    if changes:
        role.concurrency_stamp = stamps.new_stamp()
        session.flush()
        _record(session, role, Tag.ROLE_CHANGED, changes)


def _tenant_of_new(session: Session, editor: Editor, said: Content) -> int | None:
    if not editor.is_administrator:
        if said.tenant_id not in {None, editor.tenant_id}:
            raise Overreach.at("tenant_id", "You can make roles for your own tenant only.")
        return editor.tenant_id
    if said.tenant_id is not None and session.get(Tenant, said.tenant_id) is None:
        raise BadRequest.at("tenant_id", "There is no such tenant.")
    return said.tenant_id


def _name(said: Content) -> str:
    name = (said.name or "").strip() or said.code
    if not name.isprintable():
        raise BadRequest.at("name", "A name has printable characters only.")
    return name


def _refuse_built_in(role: Role, field: str, done: str) -> None:
    if role.tenant_id is None and role.code in service.BUILT_IN:
        raise Unprocessable.at(
            field, f"The role {role.code} is part of the product and cannot be {done}."
        )


def _set_claims(
    session: Session, editor: Editor, role: Role, wanted: Sequence[ClaimRow] | None
) -> None:
    """Make claims and privileges what is listed; None leaves them."""
    if wanted is None:
        return
    codes: dict[str, str] = {}
    rows: list[tuple[str, ClaimRow]] = []
    for index, said in enumerate(wanted):
        path = f"claims[{index}]"
        if said.type != PERMISSION:
            rows.append((path, said))
        elif said.id:
            raise BadRequest.at(f"{path}.id", "A permission is no row: leave the id out.")
        else:
            codes |= dict.fromkeys(_codes(said.value, path), f"{path}.value")
    _set_rows(editor, role, rows)
    _set_privileges(session, editor, role, codes)


def _set_rows(editor: Editor, role: Role, wanted: Sequence[tuple[str, ClaimRow]]) -> None:
    left = {row.id: row for row in role.claims}
    seen: set[tuple[str, str]] = set()
    for path, said in wanted:
        row = left.pop(said.id, None) if said.id else RoleClaim()
        if row is None:
            raise BadRequest.at(f"{path}.id", "Is no claim of this role, or is listed twice.")
        if (said.type, said.value) in seen:
            raise BadRequest.at(f"{path}.value", "Is listed twice.")
        seen.add((said.type, said.value))
        if (row.type, row.value) == (said.type, said.value):
            continue
        if said.type in editor.reserved_claims or not said.type.strip():
            raise BadRequest.at(f"{path}.type", "A role cannot have claims of this type.")
        row.type, row.value = said.type, said.value
        if not said.id:
            role.claims.append(row)
    for row in left.values():
        role.claims.remove(row)


def _codes(text: str, path: str) -> list[str]:
    """Read the codes of a claim: one, or several with commas as old tools write them."""
    codes = [code for code in map(str.strip, text.split(",")) if code]
    if not codes:
        raise BadRequest.at(f"{path}.value", "Names no permission.")
    return codes


def _set_privileges(
    session: Session, editor: Editor, role: Role, wanted: Mapping[str, str]
) -> None:
    """Let a role carry exactly these; `wanted` tells the field that named each."""
    before = {row.code: row for row in role.privileges}
    gone = [row.id for code, row in before.items() if code not in wanted]
    new = {code: field for code, field in wanted.items() if code not in before}
    come = _may_be_given(session, editor, role.tenant_id, new)
    if role.tenant_id is None and role.code == service.ADMINISTRATORS:
        _keep_everything(before, wanted)
    if gone:
        session.execute(
            sqlalchemy.delete(RolePrivilege).where(
                RolePrivilege.role_id == role.id, RolePrivilege.privilege_id.in_(gone)
            )
        )
    if come:
        session.execute(
            insert(RolePrivilege),
            [{"role_id": role.id, "privilege_id": row.id} for row in come],
        )
    if gone or come:
        session.expire(role, ["privileges"])


def _may_be_given(
    session: Session, editor: Editor, tenant_id: int | None, wanted: Mapping[str, str]
) -> Sequence[Privilege]:
    """Find privileges, all of which the editor may give in the tenant."""
    if not wanted:
        return []
    found = session.scalars(select(Privilege).where(Privilege.code.in_(wanted))).all()
    unknown = wanted.keys() - {privilege.code for privilege in found}
    missing = lacking(session, editor, tenant_id, found)
    if unknown or missing:
        # One message for both: what exists is nobody's business who has nothing to do with it.
        refusal = Overreach if missing else BadRequest
        raise refusal(
            "Not all of these permissions can be given.",
            code="unknown_privilege",
            fields={
                wanted[code]: ["There is no such permission, or it is not yours to give here."]
                for code in sorted(unknown.union(missing))
            },
        )
    return found


def _keep_everything(before: Collection[str], wanted: Collection[str]) -> None:
    if Scope.ALL in before and Scope.ALL not in wanted:
        raise BadRequest.at("claims", f"Administrators keep {Scope.ALL}.")


def _state(role: Role) -> dict[str, Any]:
    """Describe a role for the comparison of before and after."""
    return {
        "role": role.code,
        "name": role.name,
        "claims": {row.id: (row.type, row.value) for row in role.claims},
        "privileges": {row.id: row.code for row in role.privileges},
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    return difference.between(before, after, lists=("claims", "privileges"))


def _names(role: Role) -> list[dict[str, Any]]:
    return [{"field": "role", "value": role.code}, {"field": "name", "value": role.name}]


def _record(session: Session, role: Role, tag: Tag, changes: Sequence[Mapping[str, Any]]) -> None:
    audit.record(
        session,
        tag,
        tenant_id=role.tenant_id,
        target=f"role:{role.id}",
        details={"changes": changes},
    )


def _in_use(message: str) -> Conflict:
    return Conflict.at("id", message, code="role_bound")
