"""Applications: create, update, delete, search, and the resources in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import fields, post_load, validate

from idp.api.actor import current_actor, in_body, own, unverified_body
from idp.api.userservice.dialect import userservice
from idp.api.userservice.held import LONGEST_PRIVILEGE, PRIVILEGES, check_own, check_own_by_tenant
from idp.api.userservice.menus import MenuNodeShape
from idp.api.userservice.paging import Page, PageQuery, fetch
from idp.api.userservice.privileges import AuthorizationShape
from idp.api.userservice.shapes import Words
from idp.directory.applications import resources
from idp.directory.applications import service as applications
from idp.directory.applications.models import Application
from idp.directory.applications.resources import Resource
from idp.directory.applications.service import ApplicationSpec
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest
from idp.platform.integers import INT64_MAX
from idp.platform.web.principal import check_permission_in
from idp.platform.web.views import database
from idp.platform.wire.shapes import Shape, optional_id, text

MODULE = "resources"
MOST = 500
MOST_CODES = 20_000
TENANT_ID = r"\A(0|[1-9][0-9]{0,18})\Z"


class ApplicationShape(Shape):
    """An application; its code is unique over all tenants."""

    schema_name = "ApplicationDTO"

    id = optional_id()
    code = Words(100)
    name = Words(200)
    tenant_id = optional_id()

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> ApplicationSpec:
        """Return the application as the service takes it."""
        return ApplicationSpec(**{**data, "name": data["name"] or ""})


class ApplicationQueryShape(Shape):
    """Search conditions for applications."""

    schema_name = "ApplicationQueryParams"

    name = Words(200)


class AppResShape(Shape):
    """The visible resources of an application by kind; the menu is the only kind."""

    schema_name = "AppResDTO"

    menu = fields.Nested(MenuNodeShape())


class ResourceShape(Shape):
    """The visible resources of an application."""

    schema_name = "ResourceDTO"

    application_code = text(attribute="application.code")
    application_name = text(attribute="application.name")
    app_res = fields.Nested(AppResShape())


class PrivilegesQuery(Shape):
    """Privileges; the parameter may be empty, but not absent."""

    codes = fields.List(text(LONGEST_PRIVILEGE), data_key="privileageCodes", **PRIVILEGES)


def of_named(arguments: dict[str, Any]) -> int | None:
    """Return the tenant of the application in the path or body; else the token's tenant."""
    session, body = database(), unverified_body()
    code, row_id = arguments.get("applicationCode", body.get("code")), body.get("id")
    found = applications.find(session, code) if isinstance(code, str) else None
    if "applicationCode" not in arguments and type(row_id) is int and row_id > 0:
        found = applications.find_by_id(session, row_id)
    return found.tenant_id if found is not None else own(arguments)


def first_of_map(arguments: dict[str, Any]) -> int | None:
    """Return the first tenant of a map; the view checks all of them."""
    first = next(iter(unverified_body()), "")
    return min(int(first), INT64_MAX) if re.fullmatch(TENANT_ID, first) else own(arguments)


@userservice.operation(
    "createApplication",
    "POST",
    "/apps",
    scope=Scope.US_APP_CREATE,
    module=MODULE,
    machine=True,
    tenant=in_body("tenantId", otherwise=own),
    body=ApplicationShape(),
    result=fields.Boolean(),
    errors=("application_taken", "quota_reached"),
)
def create(body: ApplicationSpec) -> bool:
    """Create an application."""
    applications.create(database(), body)
    database().commit()
    return True


@userservice.operation(
    "updateApplication",
    "PUT",
    "/apps",
    scope=Scope.US_APP_UPDATE,
    module=MODULE,
    machine=True,
    tenant=of_named,
    body=ApplicationShape(),
    result=fields.Boolean(),
)
def update(body: ApplicationSpec) -> bool:
    """Update an application.

    It is found by id, else by code; code and tenant cannot be changed.
    """
    applications.change(database(), applications.get_named(database(), body), body)
    database().commit()
    return True


@userservice.operation(
    "pageApplications",
    "POST",
    "/apps/page",
    scope=Scope.US_APP_PAGE,
    module=MODULE,
    machine=True,
    query=PageQuery(),
    body=ApplicationQueryShape(),
    result=ApplicationShape(),
    form="page",
)
def page(query: Mapping[str, Any], body: Mapping[str, Any]) -> Page:
    """Search applications, paged."""
    found = applications.list_query(current_actor().tenant_in_reach, name=body["name"] or "")
    return fetch(database(), found, query, {}, key=Application.id)


@userservice.operation(
    "listApplicationResources",
    "GET",
    "/apps/privileges/resources/<applicationCode>",
    scope=Scope.US_APP_RESOURCES,
    module=MODULE,
    machine=True,
    query=PrivilegesQuery(),
    result=ResourceShape(),
    form="list",
    errors=("overreach",),
)
def of_application(applicationCode: str, query: Mapping[str, Any]) -> Sequence[Resource]:
    """Load the resources of an application by privileges.

    They are taken as given: this renders menus and authorises nothing. A user may send only
    privileges of their own.
    """
    session = database()
    application = applications.get(session, applicationCode, current_actor().tenant_in_reach)
    check_own(query["codes"], "privileageCodes")
    return resources.of_application(session, application, query["codes"])


@userservice.operation(
    "getApplicationByCode",
    "GET",
    "/apps/<applicationCode>",
    scope=Scope.US_APP_INFO,
    module=MODULE,
    machine=True,
    result=ApplicationShape(),
)
def detail(applicationCode: str) -> Application:
    """Find an application by code."""
    return applications.get(database(), applicationCode, current_actor().tenant_in_reach)


@userservice.operation(
    "deleteApplication",
    "DELETE",
    "/apps/<applicationCode>",
    scope=Scope.US_APP_REMOVE,
    module=MODULE,
    machine=True,
    tenant=of_named,
    result=fields.Boolean(),
    errors=("application_in_use",),
)
def delete(applicationCode: str) -> bool:
    """Delete an application; a missing one is not an error."""
    application = applications.find(database(), applicationCode)
    if application is not None:
        applications.delete(database(), application)
        database().commit()
    return True


@userservice.operation(
    "getApplicationByClientId",
    "GET",
    "/getApplicationDTOByClientId/<clientId>",
    scope=Scope.US_APP_INFOBYCLIENT,
    module="accounts-tenants-bundles",
    machine=True,
    result=ApplicationShape(),
)
def of_client(clientId: str) -> Application:
    """Get the application of an access client."""
    return applications.get_of_client(database(), clientId, current_actor().tenant_in_reach)


@userservice.operation(
    "resolveTenantResources",
    "POST",
    "/tenants/apps/privileges/resources",
    scope=Scope.US_APP_TENANTRESOURCES,
    module=MODULE,
    machine=True,
    tenant=first_of_map,
    body=fields.Dict(
        keys=text(checks=[validate.Regexp(TENANT_ID)]),
        values=fields.Nested(AuthorizationShape()),
        validate=validate.Length(max=MOST),
    ),
    result=fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(ResourceShape()))),
    errors=("overreach",),
)
def of_tenants(body: Mapping[str, Any]) -> Mapping[str, Sequence[Resource]]:
    """Get the resources that privileges in several tenants stand for, split by application.

    They are taken as given: this renders menus and authorises nothing. A user may send only
    privileges of their own.
    """
    privileges = {
        min(int(tenant_id), INT64_MAX): {
            code for codes in (authorization["role_privilege_map"] or {}).values() for code in codes
        }
        for tenant_id, authorization in body.items()
    }
    if sum(map(len, privileges.values())) > MOST_CODES:
        raise BadRequest(f"At most {MOST_CODES} privileges.")
    check_permission_in(Scope.US_APP_TENANTRESOURCES, privileges)
    check_own_by_tenant(privileges, "rolePrivilegeMap")
    found = resources.by_tenant(database(), privileges)
    return {str(tenant_id): rows for tenant_id, rows in found.items()}
