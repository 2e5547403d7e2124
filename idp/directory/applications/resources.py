"""What privileges open: for each application, the part of its menu."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.applications import menus
from idp.directory.applications.menus import Node
from idp.directory.applications.models import Application
from idp.directory.tenants.models import Tenant
from idp.platform.issuer import PLATFORM_TENANT_ID


@dataclass(frozen=True, slots=True)
class Top:
    """An application as the entry above the first level of its menu; it has no row of its own."""

    application: Application
    id: int = 0
    parent_id: None = None
    icon: None = None
    url: None = None
    comment: None = None
    sort: int = 0
    status: int = menus.ENABLED
    privilege: None = None

    @property
    def code(self) -> str:
        """The application's code."""
        return self.application.code

    @property
    def title(self) -> str:
        """The application's name."""
        return self.application.name


@dataclass(frozen=True, slots=True)
class Root:
    """The menu of an application as one tree."""

    menu: Top
    children: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Resource:
    """What a person sees of an application."""

    application: Application
    menus: Sequence[Node]
    """Trees: the menus that the person may see, and those above them."""

    @property
    def app_res(self) -> Mapping[str, Root]:
        """Everything by its kind."""
        return {"menu": Root(Top(self.application), self.menus)}


def by_tenant(
    session: Session, privileges: Mapping[int, Collection[str]]
) -> dict[int, list[Resource]]:
    """Return what the codes held in each tenant open there, by application.

    A tenant sees its own applications and the platform's; one that opens nothing is left out. The
    number of queries is the same for any number of tenants, applications and codes.
    """
    codes = {tenant_id: frozenset(held) for tenant_id, held in privileges.items()}
    if not any(codes.values()):
        return {tenant_id: [] for tenant_id in codes}
    existing = set(session.scalars(select(Tenant.id).where(Tenant.id.in_(codes))))
    rows = session.scalars(
        select(Application)
        .where(Application.tenant_id.in_({*existing, PLATFORM_TENANT_ID}))
        .order_by(Application.id)
    ).all()
    found = menus.trees(session, [row.id for row in rows])
    everywhere = frozenset().union(*codes.values())
    opening = menus.granting(session, menus.flat_of(found), everywhere)

    def opened(row: Application, held: frozenset[str]) -> Resource:
        nodes = menus.pruned(
            found[row.id], lambda menu: not held.isdisjoint(opening.get(menu.id, ()))
        )
        return Resource(row, nodes)

    answer: dict[int, list[Resource]] = {tenant_id: [] for tenant_id in codes}
    for tenant_id in existing:
        seen = (row for row in rows if row.tenant_id in {tenant_id, PLATFORM_TENANT_ID})
        candidates = (opened(row, codes[tenant_id]) for row in seen)
        answer[tenant_id] = [resource for resource in candidates if resource.menus]
    return answer


def of_application(
    session: Session, application: Application, codes: Collection[str]
) -> list[Resource]:
    """Return what codes open in one application: one resource, or none."""
    nodes = menus.permitted(session, [application], codes)[application.id]
    return [Resource(application, nodes)] if nodes else []
