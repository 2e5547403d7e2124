"""Privileges (permissions) and their groups: what roles carry and APIs ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import post_load

from idp.api.actor import platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, matching, page
from idp.directory.resources import service as resources
from idp.directory.roles import catalogue, groups
from idp.directory.roles.catalogue import LONGEST_CODE
from idp.directory.roles.groups import Node
from idp.directory.roles.models import Privilege
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest
from idp.platform.web.views import database
from idp.platform.wire.shapes import int32, text

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class New:
    """What a privilege starts with."""

    code: str
    name: str
    api: str | None
    group: str | None


class PrivilegeShape(AdminShape):
    """A privilege with the names of its API and of its group."""

    schema_name = "Privilege"

    code = text()
    name = text()
    api = text(allow_none=True)
    group = text(allow_none=True)


class NewPrivilegeShape(AdminShape):
    """A privilege to be created."""

    schema_name = "NewPrivilege"

    code = text(LONGEST_CODE, minimum=1, required=True)
    name = text(LONGEST_NAME, minimum=1, required=True)
    api = text(LONGEST_NAME, minimum=1, allow_none=True, load_default=None)
    group = text(LONGEST_CODE, minimum=1, allow_none=True, load_default=None)

    @post_load
    def to_new(self, data: dict[str, Any], **_: Any) -> New:
        """Return what the view takes."""
        return New(**data)


class ListQuery(Paging):
    """Filters of the list."""

    api = text(LONGEST_NAME, load_default=None)
    search = text(LONGEST_CODE, load_default=None)
    after = text(LONGEST_CODE, load_default="")


PRIVILEGE = PrivilegeShape()


@admin.operation(
    "privileges-list",
    "GET",
    "/privileges",
    scope=Scope.ADMIN_PRIVILEGES_READ,
    tenant=platform,
    query=ListQuery(),
    result=PRIVILEGE,
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List privileges by code."""
    found = catalogue.list_privileges(
        database(),
        search=query["search"],
        api_resource_id=api_id(query["api"]),
        after=query["after"],
        limit=query["limit"] + 1,
    )
    return page([as_shown(*row) for row in found], query["limit"], lambda row: row["code"])


@admin.operation(
    "privileges-create",
    "POST",
    "/privileges",
    scope=Scope.ADMIN_PRIVILEGES_WRITE,
    tenant=platform,
    body=NewPrivilegeShape(),
    result=PRIVILEGE,
    location="/privileges/{code}",
)
def create(body: New) -> dict[str, Any]:
    """Create a privilege; no role carries it yet."""
    made = catalogue.create_privilege(
        database(),
        body.code,
        body.name,
        api_resource_id=api_id(body.api),
        group_id=group_id(body.group),
    )
    shown = as_shown(made, body.api, body.group)
    database().commit()
    return shown


@admin.operation(
    "privileges-get",
    "GET",
    "/privileges/<code>",
    scope=Scope.ADMIN_PRIVILEGES_READ,
    tenant=platform,
    result=PRIVILEGE,
)
def detail(code: str) -> dict[str, Any]:
    """Read a privilege."""
    return as_shown(*catalogue.get_named(database(), code))


class GroupShape(AdminShape):
    """A node of the privilege tree."""

    schema_name = "PrivilegeGroup"

    code = text()
    name = text()
    parent = text(allow_none=True)
    sort = int32()


class NewGroupShape(AdminShape):
    """A node to be created."""

    schema_name = "NewPrivilegeGroup"

    code = text(LONGEST_CODE, minimum=1, required=True)
    name = text(LONGEST_NAME, minimum=1, required=True)
    parent = text(LONGEST_CODE, minimum=1, allow_none=True, load_default=None)
    sort = int32(load_default=0)


class GroupChangeShape(AdminShape):
    """What changes of a node."""

    schema_name = "PrivilegeGroupChange"

    name = text(LONGEST_NAME, minimum=1)
    sort = int32()


class GroupQuery(Paging):
    """Where the list goes on."""

    after = text(LONGEST_CODE, load_default="")


GROUP = GroupShape()
GROUPS = "/privilege-groups"


@admin.operation(
    "privileges-group-list",
    "GET",
    GROUPS,
    scope=Scope.ADMIN_PRIVILEGES_READ,
    tenant=platform,
    query=GroupQuery(),
    result=GROUP,
    form="page",
)
def list_groups(query: Mapping[str, Any]) -> Page:
    """List the nodes of the privilege tree by code."""
    found = groups.list_page(database(), after=query["after"], limit=query["limit"] + 1)
    return page([group_shown(node) for node in found], query["limit"], lambda row: row["code"])


@admin.operation(
    "privileges-group-create",
    "POST",
    GROUPS,
    scope=Scope.ADMIN_PRIVILEGES_WRITE,
    tenant=platform,
    body=NewGroupShape(),
    result=GROUP,
    location="/privilege-groups/{code}",
)
def create_group(body: Mapping[str, Any]) -> dict[str, Any]:
    """Create a node of the privilege tree."""
    made = group_shown(groups.create(database(), **body))
    database().commit()
    return made


@admin.operation(
    "privileges-group-get",
    "GET",
    f"{GROUPS}/<code>",
    scope=Scope.ADMIN_PRIVILEGES_READ,
    tenant=platform,
    result=GROUP,
)
def group_detail(code: str) -> dict[str, Any]:
    """Read a node of the privilege tree."""
    return group_shown(groups.get(database(), code))


@admin.operation(
    "privileges-group-change",
    "PATCH",
    f"{GROUPS}/<code>",
    scope=Scope.ADMIN_PRIVILEGES_WRITE,
    tenant=platform,
    body=GroupChangeShape(),
    result=GROUP,
)
def change_group(code: str, body: Mapping[str, Any], stamp: str | None) -> dict[str, Any]:
    """Rename a node of the privilege tree, or sort it anew."""
    changed = group_shown(groups.change(database(), code, body, group_matching(stamp)))
    database().commit()
    return changed


@admin.operation(
    "privileges-group-delete",
    "DELETE",
    f"{GROUPS}/<code>",
    scope=Scope.ADMIN_PRIVILEGES_WRITE,
    tenant=platform,
    form="empty",
)
def delete_group(code: str, stamp: str | None) -> None:
    """Delete an empty node of the privilege tree."""
    groups.delete(database(), code, group_matching(stamp))
    database().commit()


def group_shown(node: Node) -> dict[str, Any]:
    """Show a node of the privilege tree."""
    group = node.group
    return {"code": group.code, "name": group.name, "parent": node.parent, "sort": group.sort}


def group_matching(stamp: str | None) -> Callable[[Node], None]:
    """Return a check that a node is in the state that `If-Match` names."""
    check = matching(GROUP, stamp)
    return lambda node: check(group_shown(node))


def api_id(name: str | None) -> int | None:
    """Return the id of a named API; None: no API is named."""
    if name is None:
        return None
    api = resources.find_api(database(), name)
    if api is None:
        raise BadRequest.at("api", "API not found.")
    return api.id


def group_id(code: str | None) -> int | None:
    """Return the id of a named privilege group; None: no group is named."""
    if code is None:
        return None
    group = catalogue.find_group(database(), code)
    if group is None:
        raise BadRequest.at("group", "Privilege group not found.")
    return group.id


def as_shown(privilege: Privilege, api: str | None, group: str | None) -> dict[str, Any]:
    """Return a privilege as the answer shows it."""
    return {"code": privilege.code, "name": privilege.name, "api": api, "group": group}
