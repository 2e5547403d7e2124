"""The menus of applications, as rows and as trees, and which of them privileges open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from idp.directory.applications import service as applications
from idp.directory.applications.models import Application, Menu
from idp.directory.roles.models import Privilege
from idp.platform import permission_codes
from idp.platform.errors import NotFound
from idp.platform.translation import N_

ENABLED = 1


@dataclass(slots=True)
class Node:
    """A menu with what is below it."""

    menu: Menu
    children: list[Node] = field(default_factory=list)


def list_query(
    tenant_id: int | None,
    *,
    application_code: str = "",
    status: int | None = None,
    title: str = "",
) -> Select[Menu]:
    """Return the query of the menus in the applications a tenant sees; `title` is a part."""
    query = _reading().where(applications.visible(tenant_id))
    if application_code:
        query = query.where(Application.code == application_code)
    if status is not None:
        query = query.where(Menu.status == status)
    if title:
        query = query.where(Menu.title.icontains(title, autoescape=True))
    return query


def get(session: Session, menu_id: int, tenant_id: int | None) -> Menu:
    """Return a menu of an application that a tenant sees."""
    found = session.scalar(list_query(tenant_id).where(Menu.id == menu_id))
    if found is None:
        raise NotFound(N_("There is no such menu."))
    return found


def trees(session: Session, application_ids: Collection[int]) -> dict[int, list[Node]]:
    """Read the enabled menus of applications as trees; what is below a disabled one is left out."""
    below: defaultdict[tuple[int, int | None], list[Node]] = defaultdict(list)
    if application_ids:
        rows = session.scalars(
            _reading()
            .where(Menu.application_id.in_(application_ids), Menu.status == ENABLED)
            .order_by(Menu.sort, Menu.id)
        )
        for menu in rows:
            below[menu.application_id, menu.parent_id].append(Node(menu))

    def grown(application_id: int, parent_id: int | None) -> list[Node]:
        nodes = below[application_id, parent_id]
        for node in nodes:
            node.children = grown(application_id, node.menu.id)
        return nodes

    return {application_id: grown(application_id, None) for application_id in application_ids}


def flat(nodes: Iterable[Node]) -> Iterator[Menu]:
    """Yield the menus of trees one by one, each before those below it."""
    for node in nodes:
        yield node.menu
        yield from flat(node.children)


def flat_of(found: Mapping[int, Iterable[Node]]) -> list[Menu]:
    """Return the menus of several applications."""
    return [menu for nodes in found.values() for menu in flat(nodes)]


def pruned(nodes: Iterable[Node], may_see: Callable[[Menu], bool]) -> list[Node]:
    """Return the menus that a person may see, and those above them."""
    kept = []
    for node in nodes:
        children = pruned(node.children, may_see)
        if children or may_see(node.menu):
            kept.append(Node(node.menu, children))
    return kept


def granting(session: Session, menus: Iterable[Menu], held: Collection[str]) -> dict[int, set[str]]:
    """Return which held codes open each menu, by menu id; a `P.all` opens its owner's only."""
    privileges = {
        menu.id: menu.privilege
        for menu in menus
        if menu.privilege is not None and menu.privilege.status == ENABLED
    }
    covering = {
        row.code: permission_codes.covering(row.code).intersection(held)
        for row in privileges.values()
    }
    wide = set[str]().union(*(codes - {code} for code, codes in covering.items()))
    owners: dict[str, int | None] = {}
    if wide:
        rows = session.execute(
            select(Privilege.code, Privilege.api_resource_id).where(
                Privilege.code.in_(wide), Privilege.status == ENABLED
            )
        )
        owners = {code: owner for code, owner in rows}  # noqa: C416 - rows are no pairs to dict()
    return {
        menu_id: {
            code
            for code in covering[row.code]
            if code == row.code or (code in owners and owners[code] == row.api_resource_id)
        }
        for menu_id, row in privileges.items()
    }


def permitted(
    session: Session, applications: Sequence[Application], codes: Collection[str]
) -> dict[int, list[Node]]:
    """Read the trees of applications, limited to what privileges open."""
    found = trees(session, [application.id for application in applications])
    opening = granting(session, flat_of(found), codes)
    return {
        application_id: pruned(nodes, lambda menu: bool(opening.get(menu.id)))
        for application_id, nodes in found.items()
    }


def _reading() -> Select[Menu]:
    return (
        select(Menu)
        .join(Menu.application)
        .options(contains_eager(Menu.application), joinedload(Menu.privilege))
    )
