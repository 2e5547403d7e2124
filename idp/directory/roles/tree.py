"""Privileges by group, by role, and as a tree of groups."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.resources.models import ApiResource
from idp.directory.roles.models import Privilege, PrivilegeGroup, Role

ROOT = "0"


@dataclass(slots=True)
class Node:
    """A group (its id is a number as text) or a privilege (its id is the code)."""

    id: str
    name: str
    parent_id: str
    group: bool
    sort: int
    status: int
    number: int
    """Number of the row, which orders what has the same `sort`."""
    children: list[Node] = field(default_factory=list)


def of_group(session: Session, group_id: int, tenant_id: int | None) -> Sequence[Privilege]:
    """Return the privileges of a group; with a tenant, none of other tenants' APIs."""
    query = (
        select(Privilege)
        .outerjoin(ApiResource, ApiResource.id == Privilege.api_resource_id)
        .where(Privilege.group_id == group_id)
        .order_by(Privilege.sort, Privilege.id)
    )
    if tenant_id is not None:
        owner = ApiResource.tenant_id
        query = query.where(or_(owner.is_(None), owner == tenant_id))
    return session.scalars(query).all()


def of_roles(session: Session, tenant_id: int, codes: Collection[str]) -> Sequence[Privilege]:
    """Return the privileges that roles of a tenant carry, each once."""
    role_ids = session.scalars(
        select(Role.id).where(Role.tenant_id == tenant_id, Role.code.in_(codes))
    ).all()
    return permissions.carried(session, role_ids)


def of_roles_in_groups(session: Session, tenant_id: int, codes: Collection[str]) -> Node:
    """Return the same below their groups; groups without any of them are left out."""
    privileges = of_roles(session, tenant_id, codes)
    # All groups at once: they are few, and their depth is not known.
    groups = {row.id: row for row in session.scalars(select(PrivilegeGroup))}
    nodes: dict[int, Node] = {}
    for privilege in privileges:
        group = groups.get(privilege.group_id or 0)
        while group is not None and group.id not in nodes:
            nodes[group.id] = _group(group)
            group = groups.get(group.parent_id or 0)
    root = Node(ROOT, "root", "", group=True, sort=0, status=1, number=0)
    for group_id, node in nodes.items():
        nodes.get(groups[group_id].parent_id or 0, root).children.append(node)
    for privilege in privileges:
        nodes.get(privilege.group_id or 0, root).children.append(_privilege(privilege))
    for node in (root, *nodes.values()):
        node.children.sort(key=lambda child: (child.sort, not child.group, child.number))
    return root


def _group(row: PrivilegeGroup) -> Node:
    return _node(str(row.id), row, row.parent_id, group=True)


def _privilege(row: Privilege) -> Node:
    return _node(row.code, row, row.group_id, group=False)


def _node(id: str, row: PrivilegeGroup | Privilege, above: int | None, *, group: bool) -> Node:
    return Node(
        id=id,
        name=row.name,
        parent_id=str(above or ROOT),
        group=group,
        sort=row.sort,
        status=row.status,
        number=row.id,
    )
