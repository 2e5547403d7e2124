"""Tenants: list, create, update, read, delete; and their public data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, after_this_request
from marshmallow import fields, post_load

from idp.api.actor import current_actor
from idp.api.center.codes import CodeShape
from idp.api.center.dialect import Page, center
from idp.api.center.paging import Paging, fetch
from idp.directory.scopes import Scope
from idp.directory.tenants import management as tenants
from idp.directory.tenants.management import ClaimRow, HostRow, PropertyRow, TenantSpec
from idp.directory.tenants.models import Tenant, TenantStatus
from idp.platform.secrets import MASK
from idp.platform.throttle import Address
from idp.platform.web.views import current_runtime, database, remote_address
from idp.platform.wire.shapes import KeptList, MaskedText, Moment, Shape, Stamp, int32, int64, text

MOST_ROWS = 500
LONGEST_CACHE = 86_400
LOOKUPS_PER_MINUTE = 120


class HostShape(Shape):
    """A host, with its port if it is not the default one."""

    id = int64(minimum=0, load_default=0)
    tenant_id = int64(data_key="appTenantId", dump_only=True)
    host = text(255, data_key="hostName", required=True)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> HostRow:
        """Return the host as the service takes it."""
        return HostRow(**data)


class TenantClaimShape(Shape):
    """A public fact."""

    id = int64(minimum=0, load_default=0)
    tenant_id = int64(data_key="appTenantId", dump_only=True)
    type = text(200, minimum=1, data_key="claimType", required=True)
    value = text(2000, data_key="claimValue", required=True)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> ClaimRow:
        """Return the claim as the service takes it."""
        return ClaimRow(**data)


class TenantPropertyShape(Shape):
    """A private setting; its value is never returned, and its mask keeps it."""

    id = int64(minimum=0, load_default=0)
    tenant_id = int64(data_key="appTenantId", dump_only=True)
    key = text(200, minimum=1, required=True)
    value = MaskedText(10_000, MASK)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> PropertyRow:
        """Return the property as the service takes it."""
        return PropertyRow(**data)


class TenantShape(Shape):
    """A tenant; an absent value has the default, an absent list is kept, an empty one clears."""

    id = int64(minimum=0, load_default=0)
    name = text(200, required=True)
    theme = text(100, allow_none=True, load_default=None)
    status = int32(
        minimum=min(TenantStatus), maximum=max(TenantStatus), load_default=TenantStatus.CREATED
    )
    issuer_host = text(255, data_key="identityServerIssuerUri", allow_none=True, load_default=None)
    hosts = KeptList(HostShape, MOST_ROWS)
    created_at = Moment(data_key="createDate", dump_only=True)
    updated_at = Moment(data_key="lastUpdateTime", dump_only=True)
    claims = KeptList(TenantClaimShape, MOST_ROWS)
    cache_seconds = int64(
        data_key="cacheDuration", minimum=0, maximum=LONGEST_CACHE, load_default=60
    )
    owner_user_id = int64(dump_only=True)
    properties = KeptList(TenantPropertyShape, MOST_ROWS)
    concurrency_stamp = Stamp()

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Write 0 for a missing owner: numbers of the contract are never null."""
        value = super().get_attribute(obj, attr, default)
        return value or 0 if attr == "owner_user_id" else value

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> tuple[int, TenantSpec]:
        """Return the id and the tenant as the service takes it."""
        return data.pop("id"), TenantSpec(**data)


class ListQuery(Paging):
    """The host, exactly."""

    host = text(255, data_key="q.Host", load_default=None)


class InfoQuery(Shape):
    """The tenant whose public data is read, by its host."""

    host = text(255, load_default="")


SORTABLE = {
    "id": Tenant.id,
    "name": Tenant.name,
    "theme": Tenant.theme,
    "status": Tenant.status,
    "identityServerIssuerUri": Tenant.issuer_host,
    "createDate": Tenant.created_at,
    "lastUpdateTime": Tenant.updated_at,
    "cacheDuration": Tenant.cache_seconds,
}


@center.operation(
    "tenant-get",
    "GET",
    "/Tenant",
    scope=Scope.TENANT_GET,
    query=ListQuery(),
    result=TenantShape(),
    form="list",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List tenants."""
    actor = current_actor()
    statement = tenants.list_query(database(), actor, Scope.TENANT_GET, host=query["host"])
    return fetch(database(), statement, query, SORTABLE, key=Tenant.id)


@center.operation(
    "tenant-put",
    "PUT",
    "/Tenant",
    scope=Scope.TENANT_PUT,
    body=TenantShape(),
    result=int64(),
    errors=("NotFound",),
)
def update(body: tuple[int, TenantSpec]) -> int:
    """Update a tenant."""
    row_id, spec = body
    actor, code = current_actor(), Scope.TENANT_PUT
    proven = tenants.prove_hosts(database(), actor, spec, code=code, tenant_id=row_id)
    tenant = tenants.replace(database(), actor, code, row_id, spec, proven)
    database().commit()
    return tenant.id


@center.operation(
    "tenant-post", "POST", "/Tenant", scope=Scope.TENANT_POST, body=TenantShape(), result=int64()
)
def create(body: tuple[int, TenantSpec]) -> int:
    """Create a tenant."""
    _, spec = body
    actor = current_actor()
    proven = tenants.prove_hosts(database(), actor, spec)
    tenant = tenants.create(database(), actor, spec, proven)
    database().commit()
    return tenant.id


@center.operation(
    "tenant-detail",
    "GET",
    "/Tenant/<int:id>",
    scope=Scope.TENANT_DETAIL,
    result=TenantShape(),
    errors=("NotFound",),
)
def detail(id: int) -> Tenant:
    """Read a tenant."""
    return tenants.get(database(), current_actor(), Scope.TENANT_DETAIL, id)


@center.operation(
    "tenant-delete",
    "DELETE",
    "/Tenant/<int:id>",
    scope=Scope.TENANT_DELETE,
    result=int64(),
    errors=("NotFound",),
)
def delete(id: int) -> int:
    """Delete a tenant."""
    tenants.delete(database(), current_actor(), Scope.TENANT_DELETE, id)
    database().commit()
    return id


@center.operation(
    "tenant-info",
    "GET",
    "/Tenant/Info",
    query=InfoQuery(),
    result=fields.String(),
    errors=("NotFound",),
)
def info(query: Mapping[str, Any]) -> str:
    """Read public tenant data by host."""
    throttle = current_runtime().throttle
    throttle.hit("tenant info", Address.of(remote_address()), LOOKUPS_PER_MINUTE, 60)
    tenant = tenants.public(database(), query["host"].strip())

    @after_this_request
    def allow_caching(response: Response) -> Response:
        response.headers["Cache-Control"] = f"public, max-age={tenant.cache_seconds}"
        response.vary.add("Origin")
        return response

    return orjson.dumps({"id": tenant.id, "name": tenant.name, "claims": tenant.claims}).decode()


@center.operation("tenant-codes", "GET", "/Tenant/Codes", result=CodeShape(), form="bare")
def codes() -> list[Any]:
    """Error codes of the tenant module."""
    return []
