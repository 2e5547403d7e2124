"""Types of tenants, which bundles are made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.api.actor import platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, matching, page
from idp.directory.bundles import types
from idp.directory.bundles.models import TenantType
from idp.directory.bundles.types import LONGEST_CODE
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import text

PATH = "/tenant-types"
READ, WRITE = Scope.ADMIN_TENANTTYPES_READ, Scope.ADMIN_TENANTTYPES_WRITE
LONGEST_NAME = 200


class TypeShape(AdminShape):
    """A type of tenants."""

    schema_name = "TenantType"

    code = text()
    name = text()


class NewTypeShape(AdminShape):
    """A type to be created."""

    schema_name = "NewTenantType"

    code = text(LONGEST_CODE, minimum=1, required=True)
    name = text(LONGEST_NAME, minimum=1, required=True)


class TypeNameShape(AdminShape):
    """What changes of a type."""

    schema_name = "TenantTypeChange"

    name = text(LONGEST_NAME, minimum=1, required=True)


class ListQuery(Paging):
    """Where the list goes on."""

    after = text(LONGEST_CODE, load_default="")


TYPE = TypeShape()


@admin.operation(
    "tenanttypes-list",
    "GET",
    PATH,
    scope=READ,
    tenant=platform,
    query=ListQuery(),
    result=TYPE,
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List types of tenants by code."""
    found = types.list_page(database(), after=query["after"], limit=query["limit"] + 1)
    return page(found, query["limit"], lambda row: row.code)


@admin.operation(
    "tenanttypes-create",
    "POST",
    PATH,
    scope=WRITE,
    tenant=platform,
    body=NewTypeShape(),
    result=TYPE,
    location="/tenant-types/{code}",
)
def create(body: Mapping[str, str]) -> TenantType:
    """Create a type of tenants."""
    made = types.create(database(), body["code"], body["name"])
    database().commit()
    return made


@admin.operation(
    "tenanttypes-get", "GET", f"{PATH}/<code>", scope=READ, tenant=platform, result=TYPE
)
def detail(code: str) -> TenantType:
    """Read a type of tenants."""
    return types.get(database(), code)


@admin.operation(
    "tenanttypes-change",
    "PATCH",
    f"{PATH}/<code>",
    scope=WRITE,
    tenant=platform,
    body=TypeNameShape(),
    result=TYPE,
)
def change(code: str, body: Mapping[str, str], stamp: str | None) -> TenantType:
    """Rename a type of tenants."""
    changed = types.rename(database(), code, body["name"], matching(TYPE, stamp))
    database().commit()
    return changed


@admin.operation(
    "tenanttypes-delete", "DELETE", f"{PATH}/<code>", scope=WRITE, tenant=platform, form="empty"
)
def delete(code: str, stamp: str | None) -> None:
    """Delete a type that no tenant and no bundle has."""
    types.delete(database(), code, matching(TYPE, stamp))
    database().commit()
