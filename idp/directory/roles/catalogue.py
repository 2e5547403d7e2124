"""Keeping roles, privileges and privilege groups, and giving them out."""

from __future__ import annotations

import re

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.roles.models import Privilege, PrivilegeGroup, Role, RolePrivilege, UserRole
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound

# Commas part codes in the text form of the `permission` claim; spaces part scopes.
_CODE = re.compile(r"[^\s,/\\\"']{1,200}")


def find_role(session: Session, code: str, tenant_id: int | None) -> Role | None:
    """Find a role of a tenant, or (no tenant) of the platform."""
    in_tenant = Role.tenant_id.is_(None) if tenant_id is None else Role.tenant_id == tenant_id
    return session.scalar(select(Role).where(Role.code == code, in_tenant))


def create_role(session: Session, code: str, name: str, *, tenant_id: int | None = None) -> Role:
    """Create a role without privileges; codes of platform roles are reserved everywhere."""
    _check_code(code)
    if find_role(session, code, tenant_id) is not None or (
        tenant_id is not None and find_role(session, code, None) is not None
    ):
        raise _taken(code)
    role = Role(code=code, name=name, tenant_id=tenant_id)
    try:
        with session.begin_nested():
            session.add(role)
    except IntegrityError:
        raise _taken(code) from None
    audit.record(session, Tag.ROLE_CREATED, tenant_id=tenant_id, target=f"role:{role.id}")
    return role


def create_group(
    session: Session, code: str, name: str, *, parent_id: int | None = None, sort: int = 0
) -> PrivilegeGroup:
    """Create a node of the privilege tree."""
    _check_code(code)
    group = PrivilegeGroup(code=code, name=name, parent_id=parent_id, sort=sort)
    try:
        with session.begin_nested():
            session.add(group)
    except IntegrityError:
        raise _taken(code) from None
    return group


def create_privilege(
    session: Session,
    code: str,
    name: str,
    *,
    group_id: int | None = None,
    api_resource_id: int | None = None,
    sort: int = 0,
) -> Privilege:
    """Create a privilege; without an API it counts in the tokens of every API that asks."""
    _check_code(code)
    privilege = Privilege(
        code=code, name=name, group_id=group_id, api_resource_id=api_resource_id, sort=sort
    )
    try:
        with session.begin_nested():
            session.add(privilege)
    except IntegrityError:
        raise _taken(code) from None
    audit.record(session, Tag.PRIVILEGE_CREATED, target=f"privilege:{privilege.code}")
    return privilege


def find_privilege(session: Session, code: str) -> Privilege | None:
    """Find a privilege by its code."""
    return session.scalar(select(Privilege).where(Privilege.code == code))


def add_privilege(session: Session, role: Role, privilege: Privilege) -> bool:
    """Let a role carry a privilege; tells whether it is new there."""
    key = (role.id, privilege.id)
    if session.get(RolePrivilege, key) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(RolePrivilege(role_id=role.id, privilege_id=privilege.id))
    except IntegrityError:
        return False
    audit.record(
        session,
        Tag.ROLE_CHANGED,
        tenant_id=role.tenant_id,
        target=f"role:{role.id}",
        details={"privilege": privilege.code},
    )
    return True


def give(session: Session, user_id: int, role: Role) -> bool:
    """Give a person a role; tells whether it is new."""
    if session.get(UserRole, (user_id, role.id)) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(UserRole(user_id=user_id, role_id=role.id))
    except IntegrityError:
        if session.get(UserRole, (user_id, role.id)) is not None:
            return False
        raise NotFound("There is no such user.") from None
    audit.record(
        session,
        Tag.ROLE_GIVEN,
        tenant_id=role.tenant_id,
        target=f"user:{user_id}",
        details={"role": role.code},
    )
    return True


def _check_code(code: str) -> None:
    if not _CODE.fullmatch(code) or not code.isprintable():
        message = "A code has 1 to 200 characters without spaces, commas, slashes or quotes."
        raise BadRequest(message, fields={"code": [message]})
    if code.isnumeric():
        message = "A code needs something besides digits."
        raise BadRequest(message, fields={"code": [message]})


def _taken(code: str) -> Conflict:
    return Conflict(f"The code {code} is taken.", fields={"code": ["taken"]})
