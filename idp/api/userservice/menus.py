"""Menus: read, search, and list by privileges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import fields

from idp.api.actor import current_actor
from idp.api.userservice.dialect import userservice
from idp.api.userservice.held import LONGEST_PRIVILEGE, PRIVILEGES, check_own
from idp.api.userservice.paging import Page, PageQuery, fetch
from idp.api.userservice.shapes import Words
from idp.directory.applications import menus
from idp.directory.applications import service as applications
from idp.directory.applications.models import Menu
from idp.directory.scopes import Scope
from idp.platform.integers import INT32_MAX
from idp.platform.web.views import database
from idp.platform.wire.shapes import OptionalNumber, Shape, int32, int64, text

MODULE = "resources"


class MenuShape(Shape):
    """An entry of an application's menu."""

    schema_name = "MenuDTO"

    id = int64()
    application = text(attribute="application.name")
    application_code = text(attribute="application.code")
    parent_id = int64(allow_none=True)
    code = text()
    title = text()
    icon = Words(200)
    url = Words(2000)
    comment = Words(2000)
    sort = int32()
    status = int32()
    privilege_code = Words(200, attribute="privilege.code", dump_default="")


class MenuNodeShape(MenuShape):
    """An entry of a menu with what is below it."""

    schema_name = "MenuTreeDTO"

    # The class is not defined yet.
    children = fields.List(fields.Nested(lambda: MenuNodeShape()))  # noqa: PLW0108

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Read the entry from the node of the tree."""
        return super().get_attribute(obj if attr == "children" else obj.menu, attr, default)


class MenuQueryShape(Shape):
    """Search conditions for menus."""

    schema_name = "MenuQueryDTO"

    application_code = Words(100)
    status = OptionalNumber("int32", INT32_MAX)
    title = Words(200)


class PrivilegesQuery(Shape):
    """Privileges; the parameter may be empty, but not absent."""

    privileges = fields.List(text(LONGEST_PRIVILEGE), **PRIVILEGES)


@userservice.operation(
    "pageMenus",
    "POST",
    "/menus/page",
    scope=Scope.US_MENU_PAGE,
    module=MODULE,
    machine=True,
    query=PageQuery(),
    body=MenuQueryShape(),
    result=MenuShape(),
    form="page",
)
def page(query: Mapping[str, Any], body: Mapping[str, Any]) -> Page:
    """Search menus, paged; disabled ones too."""
    found = menus.list_query(
        current_actor().tenant_in_reach,
        application_code=body["application_code"] or "",
        status=body["status"],
        title=body["title"] or "",
    )
    return fetch(database(), found, query, {}, key=Menu.id)


@userservice.operation(
    "listMenusByPrivileges",
    "GET",
    "/menus/privileges",
    scope=Scope.US_MENU_LISTBYPRIVILEGES,
    module=MODULE,
    machine=True,
    query=PrivilegesQuery(),
    result=MenuShape(),
    form="list",
    errors=("overreach",),
)
def by_privileges(query: Mapping[str, Any]) -> Sequence[Menu]:
    """List menus by privilege codes.

    Menus that the privileges open, with the menus above them, in the order of the trees. The
    privileges are taken as given: this renders menus and authorises nothing. A user may send only
    privileges of their own.
    """
    check_own(query["privileges"], "privileges")
    session = database()
    found = session.scalars(applications.list_query(current_actor().tenant_in_reach)).all()
    return menus.flat_of(menus.permitted(session, found, query["privileges"]))


@userservice.operation(
    "listMenusByApplication",
    "GET",
    "/menus/<applicationCode>/menu-list",
    scope=Scope.US_MENU_LISTBYAPP,
    module=MODULE,
    machine=True,
    result=MenuShape(),
    form="list",
)
def by_application(applicationCode: str) -> Sequence[Menu]:
    """List the menus of an application, in the order of its tree."""
    session = database()
    application = applications.get(session, applicationCode, current_actor().tenant_in_reach)
    return menus.flat_of(menus.trees(session, [application.id]))


@userservice.operation(
    "getMenuById",
    "GET",
    "/menus/<int:id>",
    scope=Scope.US_MENU_INFO,
    module=MODULE,
    machine=True,
    result=MenuShape(),
)
def detail(id: int) -> Menu:
    """Get a menu by id."""
    return menus.get(database(), id, current_actor().tenant_in_reach)
