"""Who may ask for what of APIs; the contract of microservices has the rest of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.dialect import AdminShape, Page, Paging, Tagged, admin, page_of, row_id
from idp.directory import api_names
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import boolean, int64, text

PATH = "/tenants/<int:tenant>/apis"
READ, WRITE = Scope.ADMIN_APIS_READ, Scope.ADMIN_APIS_WRITE
MOST_SCOPES = 1000


class ApiShape(AdminShape):
    """An API."""

    schema_name = "Api"

    id = int64()
    name = text()
    display_name = text(allow_none=True)
    tenant = int64(attribute="tenant_id", allow_none=True)
    enabled = boolean()
    scopes = fields.List(text())
    default_scopes = fields.List(text())
    open_to_strangers = boolean()
    metadata_url = text(allow_none=True)


class ApiChangeShape(AdminShape):
    """What changes of an API."""

    schema_name = "ApiChange"

    default_scopes = fields.List(
        text(api_names.LONGEST, minimum=1), validate=validate.Length(max=MOST_SCOPES)
    )
    open_to_strangers = fields.Boolean(truthy={True}, falsy={False})


class ListQuery(Paging):
    """The API of a name, or all."""

    name = text(api_names.LONGEST, load_default=None)
    after = row_id(minimum=0, load_default=0)


@admin.operation(
    "apis-list",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=ApiShape(),
    form="page",
)
def list_(tenant: int, query: Mapping[str, Any]) -> Page:
    """List APIs by id, or find the one that has a name in any spelling."""
    session, name = database(), query["name"]
    if name is not None:
        name = api_names.find_equal(session, ApiResource.name, [name]) or ""
    found = resources.select_apis(acting(READ, tenant), name=name, load=["scopes"])
    page = page_of(found, ApiResource, query)
    return Page([shown(api) for api in page.rows], page.next)


@admin.operation(
    "apis-get",
    "GET",
    f"{PATH}/<int:id>",
    scope=READ,
    tenant=tenant_or_platform(READ),
    result=ApiShape(),
)
def detail(tenant: int, id: int) -> Tagged:
    """Read an API."""
    api = resources.get_api(database(), acting(READ, tenant), id)
    return Tagged(shown(api), api.concurrency_stamp)


@admin.operation(
    "apis-change",
    "PATCH",
    f"{PATH}/<int:id>",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=ApiChangeShape(),
    result=ApiShape(),
)
def change(tenant: int, id: int, body: dict[str, Any], stamp: str | None) -> Tagged:
    """Change who may ask for what of an API."""
    api = resources.change_api(database(), acting(WRITE, tenant), id, stamp, **body)
    database().commit()
    return Tagged(shown(api), api.concurrency_stamp)


def shown(api: ApiResource) -> dict[str, Any]:
    """Show an API."""
    return {
        "id": api.id,
        "name": api.name,
        "display_name": api.display_name,
        "tenant_id": api.tenant_id,
        "enabled": api.enabled,
        "scopes": [scope.name for scope in api.scopes],
        "default_scopes": api.default_scopes or [],
        "open_to_strangers": api.open_to_strangers,
        "metadata_url": api_names.metadata_url(api.name),
    }
