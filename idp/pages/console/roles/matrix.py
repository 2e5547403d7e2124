"""Roles and privileges as a table: what is ticked, what cannot be, and what a form would change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import Bundle
from idp.directory.permissions import Permission
from idp.directory.resources.models import ApiResource
from idp.directory.roles import catalogue
from idp.directory.roles import management as roles
from idp.directory.roles.effects import Change
from idp.directory.roles.models import Privilege, Role, UserRole
from idp.directory.scopes import Scope
from idp.pages.console import lists
from idp.pages.console.lists import Filter, Listing, Page, Sort
from idp.pages.console.roles.forms import Ticks
from idp.pages.console.workspaces import Workspace
from idp.platform.db import count_up_to
from idp.platform.errors import NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.permission_codes import ALL_SUFFIX, covering

MOST_ROLES = 6
"""Columns of a page."""
MOST_PRIVILEGES = 250
"""Rows of a page; search and filter lead to others."""
MOST_APIS = 100
MOST_OPEN = 30
"""Privileges of an API that are shown all, unless the API is chosen."""
DEEPEST = 2
"""Levels below an `.all` that are set in."""

SORTS = {"name": Sort(_("Role"), Role.name)}


@dataclass(frozen=True, slots=True)
class Cell:
    """What a role has of a privilege."""

    role_id: int
    privilege_id: int
    is_stored: bool
    is_ticked: bool
    through: str | None
    """Name of the `.all` by which the role has it."""
    reason: str | None
    """Why it cannot be ticked."""

    @property
    def value(self) -> str:
        """What the form sends when it is ticked."""
        return f"{self.role_id}-{self.privilege_id}"

    @property
    def is_open(self) -> bool:
        """Whether there is something to tick."""
        return self.through is None and (self.is_stored or self.reason is None)


@dataclass(frozen=True, slots=True)
class Row:
    """A privilege, and a cell for each role."""

    privilege: Privilege
    level: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Group:
    """The privileges of an API; without one, those that count everywhere."""

    api: ApiResource | None
    rows: Sequence[Row]
    hidden: int
    """Rows that are left out, because the API has many and no role shown has them."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A page of the table."""

    page: Page
    holders: Mapping[int, int]
    groups: Sequence[Group]
    is_cut: bool
    """Whether there are more privileges than rows."""
    bundle: Bundle | None
    may_change: bool

    @property
    def roles(self) -> Sequence[Role]:
        """The columns."""
        return self.page.rows

    @property
    def query(self) -> str:
        """The part of the address that says which page this is."""
        text = request.query_string.decode("ascii", "replace")
        return f"?{text}" if text else ""

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [row for group in self.groups for row in group.rows]


def list_query(workspace: Workspace) -> Select[Role]:
    """Return the query of the roles of a workspace: of the tenant, or of the platform."""
    query = roles.list_query(workspace.actor)
    if workspace.tenant is None:
        query = query.where(or_(Role.tenant_id.is_(None), Role.tenant_id == PLATFORM_TENANT_ID))
    return query


def get(session: Session, workspace: Workspace, role_id: int) -> Role:
    """Return a role of a workspace."""
    role = roles.get(session, workspace.actor, role_id)
    if workspace.tenant is None and role.tenant_id not in {None, PLATFORM_TENANT_ID}:
        raise NotFound
    return role


def read(session: Session, workspace: Workspace, path: str, ticks: Ticks | None = None) -> Matrix:
    """Read what the address asks for; `ticks` of a form precede what is stored."""
    listing = lists.read(SORTS, {"api": _apis(session, workspace)}, path=path)
    shown = _visible(session, workspace, listing, listing.text)
    query = list_query(workspace)
    matching = lists.matches(listing.text, Role.name, Role.code)
    found = lists.fetch(
        session, query.where(matching) if listing.text else query, listing, Role.id, MOST_ROLES
    )
    # A text may name roles, privileges, or both; a side that it does not name is whole.
    if listing.text and not found.rows:
        found = lists.fetch(session, query, listing, Role.id, MOST_ROLES)
    if listing.text and not shown:
        shown = _visible(session, workspace, listing, None)
    is_cut = len(shown) > MOST_PRIVILEGES
    bundle = None if workspace.tenant is None else bundles.of_tenant(session, workspace.tenant.id)
    reasons = _reasons(session, workspace, bundle, [privilege for privilege, _api in shown])
    return Matrix(
        found,
        count_up_to(
            session, UserRole.role_id, [role.id for role in found.rows], lists.MOST_COUNTED + 1
        ),
        _groups(shown[:MOST_PRIVILEGES], found.rows, reasons, ticks, is_whole=listing.is_narrowed),
        is_cut,
        bundle,
        workspace.may(Scope.ROLE_PUT),
    )


def changes(matrix: Matrix) -> list[tuple[Change, Role, Privilege]]:
    """Return what the ticks of a form change of what is stored."""
    named = {role.id: role for role in matrix.roles}
    return [
        (
            Change(cell.role_id, _permission(row.privilege), cell.is_ticked),
            named[cell.role_id],
            row.privilege,
        )
        for row in matrix.rows
        for cell in row.cells
        if cell.is_ticked is not cell.is_stored
    ]


def _apis(session: Session, workspace: Workspace) -> Filter:
    query = select(ApiResource.id, ApiResource.display_name, ApiResource.name)
    if workspace.tenant is not None:
        owner = ApiResource.tenant_id
        query = query.where(or_(owner.is_(None), owner == workspace.tenant.id))
    having = query.where(ApiResource.id.in_(select(Privilege.api_resource_id)))
    rows = session.execute(having.order_by(ApiResource.name).limit(MOST_APIS))
    return Filter(_("API"), {str(id): title or name for id, title, name in rows})


def _visible(
    session: Session, workspace: Workspace, listing: Listing, text: str | None
) -> list[tuple[Privilege, ApiResource | None]]:
    api = listing.chosen.get("api")
    return catalogue.list_visible(
        session,
        workspace.tenant_id,
        search=text or None,
        api_resource_id=None if api is None else int(api),
        limit=MOST_PRIVILEGES + 1,
    )


def _reasons(
    session: Session,
    workspace: Workspace,
    bundle: Bundle | None,
    privileges: Sequence[Privilege],
) -> dict[str, str]:
    """Return why privileges cannot be granted here, by code."""
    lacking = workspace.actor.lacking(session, workspace.tenant_id, privileges)
    reasons = dict.fromkeys(lacking, gettext("You cannot grant what you do not hold here."))
    if bundle is not None:
        outside = permissions.outside(session, bundle.privilege_codes, privileges)
        text = gettext("Not in the bundle %(name)s.", name=bundle.name)
        reasons |= dict.fromkeys(outside, text)
    return reasons


def _groups(
    shown: Sequence[tuple[Privilege, ApiResource | None]],
    columns: Sequence[Role],
    reasons: Mapping[str, str],
    ticks: Ticks | None,
    *,
    is_whole: bool,
) -> list[Group]:
    groups = []
    for _id, entries in groupby(shown, lambda entry: entry[0].api_resource_id):
        group = [*entries]
        rights = sorted((privilege for privilege, _api in group), key=_place)
        alls = {right.code: right for right in rights if right.code.endswith(ALL_SUFFIX)}
        rows = [
            Row(
                right,
                min(len(_above(right, alls)), DEEPEST),
                [_cell(role, right, reasons, ticks) for role in columns],
            )
            for right in rights
        ]
        kept = rows if is_whole or len(rows) <= MOST_OPEN else [*filter(_is_used, rows)]
        groups.append(Group(group[0][1], kept, len(rows) - len(kept)))
    return groups


def _is_used(row: Row) -> bool:
    """Return whether a row stands in a long list: a role has it, or it is the whole API."""
    return row.level == 0 or any(cell.is_stored or cell.is_ticked for cell in row.cells)


def _place(privilege: Privilege) -> str:
    """Return a key that puts an `.all` before what it covers."""
    return privilege.code.removesuffix(ALL_SUFFIX)


def _above(privilege: Privilege, alls: Mapping[str, Privilege]) -> list[str]:
    return sorted(covering(privilege.code) & alls.keys() - {privilege.code})


def _cell(
    role: Role, privilege: Privilege, reasons: Mapping[str, str], ticks: Ticks | None
) -> Cell:
    held = {one.code: one for one in role.privileges}
    is_stored = privilege.code in held
    is_ticked = is_stored
    through = _through(privilege, held)
    reason = reasons.get(privilege.code)
    is_open = through is None and (is_stored or reason is None)
    if ticks is not None and is_open and ticks.shows(role.id, privilege.id):
        is_ticked = (role.id, privilege.id) in ticks.ticked
    return Cell(role.id, privilege.id, is_stored, is_ticked, through, reason)


def _through(privilege: Privilege, held: Mapping[str, Privilege]) -> str | None:
    """Return the name of the `.all` by which a role has a privilege, of the same owner."""
    for code in covering(privilege.code) - {privilege.code}:
        found = held.get(code)
        if found is not None and found.api_resource_id == privilege.api_resource_id:
            return found.name
    return None


def _permission(privilege: Privilege) -> Permission:
    return Permission(privilege.code, privilege.api_resource_id)


def codes_after(role: Role, changed: Collection[tuple[Change, Role, Privilege]]) -> set[str]:
    """Return the codes that a role carries after changes."""
    codes: set[Any] = {privilege.code for privilege in role.privileges}
    for change, of, privilege in changed:
        if of.id == role.id:
            (codes.add if change.is_added else codes.discard)(privilege.code)
    return codes
