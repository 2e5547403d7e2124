"""What a bundle contains, as a form: a role with the privileges that can be ticked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import orjson
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.applications.models import Application, Menu
from idp.directory.bundles import ability
from idp.directory.bundles.ability import Ability, AbilityRole
from idp.directory.bundles.models import Bundle
from idp.directory.resources.models import ApiResource
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege
from idp.pages.console import lists
from idp.pages.console.bundles.forms import Ticks
from idp.pages.console.lists import Filter, Listing, Sort
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID

MOST_PRIVILEGES = 250
"""Rows of a page; search and filter lead to others."""
MOST_APIS = 100
MOST_OPEN = 30
"""Privileges of an API that are shown all, unless the address narrows the list."""
MOST_MENUS = 3
"""Entries of menus that a row names."""
SORTS = {"code": Sort(_("Privilege"), Privilege.code)}


@dataclass(frozen=True, slots=True)
class Row:
    """A privilege that a role of the bundle has, or can get."""

    privilege: Privilege
    is_stored: bool
    is_ticked: bool
    reason: str | None
    """Why it cannot be ticked."""
    opens: Sequence[str]
    """Titles of the entries of menus that it opens."""


@dataclass(frozen=True, slots=True)
class Group:
    """The privileges of an API; without one, those that count everywhere."""

    api: ApiResource | None
    rows: Sequence[Row]
    hidden: int
    """Rows that are left out, because the API has many and the role does not have them."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of the privileges of a role."""

    listing: Listing
    groups: Sequence[Group]
    is_cut: bool
    """Whether there are more privileges than rows."""

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [row for group in self.groups for row in group.rows]


def role_of(contents: Ability, code: str) -> AbilityRole:
    """Return a role of a bundle by its code."""
    for role in contents.roles:
        if role.code == code:
            return role
    raise NotFound


def read(
    session: Session, workspace: Workspace, role: AbilityRole, path: str, ticks: Ticks | None = None
) -> Sheet:
    """Read the privileges that the address asks for; `ticks` precede what is stored."""
    listing = lists.read(SORTS, {"api": _apis(session)}, path=path)
    api = listing.chosen.get("api")
    found = catalogue.list_visible(
        session,
        PLATFORM_TENANT_ID,
        search=listing.text or None,
        api_resource_id=None if api is None else int(api),
        limit=MOST_PRIVILEGES + 1,
    )
    shown = found[:MOST_PRIVILEGES]
    privileges = [privilege for privilege, _api in shown]
    lacking = set(workspace.actor.within(PLATFORM_TENANT_ID).lacking(session, None, privileges))
    opens = _opened(session, [privilege.id for privilege in privileges])
    groups = []
    for _id, entries in groupby(shown, lambda entry: entry[0].api_resource_id):
        group = [*entries]
        rows = [_row(privilege, role, ticks, lacking, opens) for privilege, _api in group]
        is_whole = listing.is_narrowed or len(rows) <= MOST_OPEN
        kept = rows if is_whole else [row for row in rows if row.is_stored or row.is_ticked]
        groups.append(Group(group[0][1], kept, len(rows) - len(kept)))
    return Sheet(listing, groups, len(found) > MOST_PRIVILEGES)


def ticked(role: AbilityRole, sheet: Sheet) -> AbilityRole:
    """Return a role with what is ticked; what the page did not show stays."""
    codes = set(role.privilege_codes).difference(row.privilege.code for row in sheet.rows)
    codes.update(row.privilege.code for row in sheet.rows if row.is_ticked)
    kept = [code for code in role.privilege_codes if code in codes]
    return replace(role, privilege_codes=(*kept, *sorted(codes.difference(kept))))


def with_role(contents: Ability, role: AbilityRole, *, is_admin: bool) -> Ability:
    """Return what a bundle contains with one role changed, or added."""
    codes = [one.code for one in contents.roles]
    roles = [role if one.code == role.code else one for one in contents.roles]
    if role.code not in codes:
        roles.append(role)
    admins = [code for code in contents.admin_role_codes if code != role.code or is_admin]
    if is_admin and role.code not in admins:
        admins.append(role.code)
    return Ability(tuple(roles), tuple(admins))


def without_role(contents: Ability, code: str) -> Ability:
    """Return what a bundle contains without one of its roles."""
    return Ability(
        tuple(role for role in contents.roles if role.code != code),
        tuple(one for one in contents.admin_role_codes if one != code),
    )


def written(contents: Ability) -> str:
    """Return what a bundle contains as JSON text."""
    roles = [
        {"code": role.code, "name": role.name, "privilegeCodes": role.privilege_codes}
        for role in contents.roles
    ]
    return orjson.dumps({"roles": roles, "adminRoleCodes": contents.admin_role_codes}).decode()


def of(bundle: Bundle) -> Ability:
    """Return what a bundle contains."""
    return ability.read(bundle.ability)


def _apis(session: Session) -> Filter:
    query = (
        select(ApiResource.id, ApiResource.display_name, ApiResource.name)
        .where(ApiResource.id.in_(select(Privilege.api_resource_id)))
        .order_by(ApiResource.name)
        .limit(MOST_APIS)
    )
    return Filter(_("API"), {str(id): title or name for id, title, name in session.execute(query)})


def _row(
    privilege: Privilege,
    role: AbilityRole,
    ticks: Ticks | None,
    lacking: Collection[str],
    opens: Mapping[int | None, Sequence[str]],
) -> Row:
    is_stored = privilege.code in role.privilege_codes
    reason = None
    if privilege.code in lacking and not is_stored:
        reason = gettext("You cannot grant what you do not hold here.")
    is_ticked = is_stored
    if ticks is not None and privilege.id in ticks.shown and reason is None:
        is_ticked = privilege.id in ticks.ticked
    return Row(privilege, is_stored, is_ticked, reason, opens.get(privilege.id, ()))


def _opened(session: Session, ids: Collection[int]) -> dict[int | None, list[str]]:
    """Return the first entries of menus that each of several privileges opens."""
    query = (
        select(Menu.privilege_id, Application.name, Menu.title)
        .join(Application, Application.id == Menu.application_id)
        .where(Menu.privilege_id.in_(ids), Application.tenant_id == PLATFORM_TENANT_ID)
        .order_by(Application.name, Menu.sort, Menu.id)
    )
    found: dict[int | None, list[str]] = {}
    for privilege_id, application, title in session.execute(query):
        titles = found.setdefault(privilege_id, [])
        if len(titles) < MOST_MENUS:
            titles.append(f"{application}: {title}")
    return found
