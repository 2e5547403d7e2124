"""The nodes of the privilege tree: listed, created, changed, and deleted while they are empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from idp.directory.roles import catalogue
from idp.directory.roles.models import PrivilegeGroup
from idp.platform.audit import service as audit
from idp.platform.audit.difference import State
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.translation import N_


class Node(NamedTuple):
    """A group, and the code of the one above it; None: it is at the top."""

    group: PrivilegeGroup
    parent: str | None


Check = Callable[[Node], None]
"""Raises for a state that the caller did not mean."""


def list_page(session: Session, *, after: str = "", limit: int = 100) -> list[Node]:
    """Return a page of groups by code."""
    query = _select().where(PrivilegeGroup.code > after).order_by(PrivilegeGroup.code)
    return [Node(*row) for row in session.execute(query.limit(limit))]


def get(session: Session, code: str, *, lock: bool = False) -> Node:
    """Return a group by its code; with `lock`, as it is until this transaction ends."""
    query = _select().where(PrivilegeGroup.code == code)
    if lock:
        query = query.with_for_update(of=PrivilegeGroup).execution_options(populate_existing=True)
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such privilege group."))
    return Node(*row)


def create(session: Session, code: str, name: str, *, parent: str | None, sort: int) -> Node:
    """Create a group below another, or at the top."""
    above = None if parent is None else catalogue.find_group(session, parent)
    if parent is not None and above is None:
        raise BadRequest.at("parent", N_("There is no such privilege group."))
    try:
        group = catalogue.create_group(
            session, code, name, parent_id=None if above is None else above.id, sort=sort
        )
    except BadRequest as problem:
        fields = {name.removesuffix("_id"): texts for name, texts in problem.fields.items()}
        raise BadRequest(problem.detail, fields=fields) from None
    made = Node(group, parent)
    _record(session, Tag.PRIVILEGE_GROUP_CREATED, code, {}, _state(made))
    return made


def change(session: Session, code: str, changes: Mapping[str, Any], unchanged: Check) -> Node:
    """Change the name of a group, or its place beside others; code and parent stay."""
    found = get(session, code, lock=True)
    unchanged(found)
    before = _state(found)
    for name in ("name", "sort"):
        if name in changes:
            setattr(found.group, name, changes[name])
    session.flush()
    after = _state(found)
    if before != after:
        _record(session, Tag.PRIVILEGE_GROUP_CHANGED, code, before, after)
    return found


def delete(session: Session, code: str, unchanged: Check) -> None:
    """Delete a group in which there is no other and no privilege."""
    found = get(session, code, lock=True)
    unchanged(found)
    before = _state(found)
    try:
        with session.begin_nested():
            session.delete(found.group)
    except IntegrityError:
        raise Conflict(N_("This group is not empty.")) from None
    _record(session, Tag.PRIVILEGE_GROUP_DELETED, code, before, {})


def _state(node: Node) -> dict[str, Any]:
    return {"name": node.group.name, "sort": node.group.sort, "parent": node.parent}


def _record(session: Session, tag: Tag, code: str, before: State, after: State) -> None:
    audit.record_change(session, tag, f"privilege-group:{code}", before, after)


def _select() -> Select[PrivilegeGroup, str | None]:
    above = aliased(PrivilegeGroup)
    return select(PrivilegeGroup, above.code).outerjoin(above, above.id == PrivilegeGroup.parent_id)
