"""Tenants: create with administrator and bundle, read, search, switch bundles."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load
from sqlalchemy import select

from idp.api.actor import platform
from idp.api.userservice.dialect import userservice
from idp.api.userservice.paging import Page, SortedPageQuery, fetch
from idp.api.userservice.shapes import LONGEST_PASSWORD, Words
from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.scopes import Scope
from idp.directory.tenants import founding
from idp.directory.tenants import service as tenants
from idp.directory.tenants.founding import Founding
from idp.directory.tenants.models import Tenant
from idp.platform.web.views import database
from idp.platform.wire.shapes import Shape, int64, text

MODULE = "accounts-tenants-bundles"


class TenantShape(Shape):
    """A tenant."""

    schema_name = "TenantDTO"

    id = int64()
    name = text()
    type_code = Words(100, data_key="tenantTypeCode")
    bundle_code = Words(100)


class CreateTenantShape(Shape):
    """A tenant to create, and its administrator: a new account, or (linking) an existing one."""

    schema_name = "CreateTenantRequestDTO"

    name = text(200, minimum=1, required=True)
    tenant_type_code = text(100, minimum=1, required=True)
    bundle_code = Words(100)
    username = text(100, minimum=1, required=True)
    mobile = Words(32)
    password = text(LONGEST_PASSWORD, minimum=1, required=True, load_only=True)

    @post_load
    def to_founding(self, data: dict[str, Any], **_: Any) -> Founding:
        """Return what the service takes."""
        return Founding(**data)


class LinkTenantShape(CreateTenantShape):
    """A tenant to create, for an account found by its user name, else by its number."""

    schema_name = "LinkTenantRequestDTO"

    username = Words(100)
    password = Words(LONGEST_PASSWORD, load_only=True)  # ignored: the account has its own


class TenantQueryShape(Shape):
    """Search conditions for tenants; null or empty: no filter."""

    schema_name = "TenantQueryDTO"

    name = Words(200)
    tenant_type_code = Words(100)


SORTABLE = {
    "id": Tenant.id,
    "name": Tenant.name,
    "tenantTypeCode": Tenant.type_code,
    "bundleCode": Tenant.bundle_code,
}

BUNDLE_ERRORS = ("other_tenant_type", "role_taken")
FOUNDING_ERRORS = ("unknown_bundle", "no_initial_bundle", *BUNDLE_ERRORS)


@userservice.operation(
    "createTenantAndLinkAccount",
    "POST",
    "/tenantRelateAccount",
    scope=Scope.US_TENANT_CREATELINKED,
    module=MODULE,
    machine=True,
    tenant=platform,
    body=LinkTenantShape(),
    result=TenantShape(),
    errors=FOUNDING_ERRORS,
)
def create_linked(body: Founding) -> Tenant:
    """Create a tenant and link an account to it as its administrator."""
    tenant = founding.create_for_account(database(), body)
    database().commit()
    return tenant


@userservice.operation(
    "createTenant",
    "POST",
    "/tenants",
    scope=Scope.US_TENANT_CREATE,
    module=MODULE,
    machine=True,
    tenant=platform,
    body=CreateTenantShape(),
    result=TenantShape(),
    errors=("username_taken", "mobile_taken", "weak_password", *FOUNDING_ERRORS),
)
def create(body: Founding) -> Tenant:
    """Create a tenant with a new account as its administrator."""
    tenant = founding.create(database(), body)
    database().commit()
    return tenant


@userservice.operation(
    "pageTenants",
    "POST",
    "/tenants/page",
    scope=Scope.US_TENANT_PAGE,
    module=MODULE,
    machine=True,
    tenant=platform,
    body=TenantQueryShape(),
    body_required=False,
    query=SortedPageQuery(),
    result=TenantShape(),
    form="page",
)
def page(body: dict[str, Any], query: dict[str, Any]) -> Page:
    """Search tenants, paged."""
    found = select(Tenant)
    if body["name"]:
        found = found.where(Tenant.name.icontains(body["name"], autoescape=True))
    if body["tenant_type_code"]:
        found = found.where(Tenant.type_code == body["tenant_type_code"])
    return fetch(database(), found, query, SORTABLE, key=Tenant.id)


@userservice.operation(
    "getTenantById",
    "GET",
    "/tenants/<int:id>",
    scope=Scope.US_TENANT_INFO,
    module=MODULE,
    machine=True,
    tenant="id",
    result=TenantShape(),
)
def detail(id: int) -> Tenant:
    """Get a tenant."""
    return tenants.get(database(), id)


@userservice.operation(
    "initTenantBundle",
    "POST",
    "/tenants/<int:tenantId>/bundles/<bundleCode>",
    scope=Scope.US_TENANT_INITBUNDLE,
    module=MODULE,
    machine=True,
    tenant=platform,
    result=fields.Boolean(),
    errors=("bundle_initialised", *BUNDLE_ERRORS),
)
def init_bundle(tenantId: int, bundleCode: str) -> bool:
    """Initialise the bundle of a tenant."""
    applying.initialise(database(), tenantId, bundles.get(database(), bundleCode, lock=True))
    database().commit()
    return True


@userservice.operation(
    "switchTenantBundle",
    "PUT",
    "/tenants/<int:tenantId>/bundles/<bundleCode>",
    scope=Scope.US_TENANT_SWITCHBUNDLE,
    module=MODULE,
    machine=True,
    tenant=platform,
    result=fields.Boolean(),
    errors=("bundle_not_initialised", "same_bundle", *BUNDLE_ERRORS),
)
def switch_bundle(tenantId: int, bundleCode: str) -> bool:
    """Switch the bundle of a tenant."""
    applying.switch(database(), tenantId, bundles.get(database(), bundleCode, lock=True))
    database().commit()
    return True
