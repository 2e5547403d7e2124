"""Identity resources: scopes that stand for claims about a user; rows of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import post_load

from idp.api.actor import platform
from idp.api.center.apiresource import MOST_ROWS, ClaimShape
from idp.api.center.codes import CodeShape
from idp.api.center.dialect import Page, center
from idp.api.center.paging import Paging, fetch
from idp.directory.resources import service as resources
from idp.directory.resources.content import IdentitySpec
from idp.directory.resources.models import IdentityResource
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import KeptList, Shape, Stamp, boolean, int32, int64, text


class IdentityResourceShape(Shape):
    """An identity resource; claims that are absent or null are kept, an empty list clears."""

    id = int32(minimum=0, load_default=0)
    enabled = boolean(load_default=True)
    name = text(200, required=True)
    display_name = text(200, allow_none=True, load_default=None)
    description = text(1000, allow_none=True, load_default=None)
    required = boolean(load_default=False)
    emphasize = boolean(load_default=False)
    show_in_discovery_document = boolean(load_default=True)
    user_claims = KeptList(ClaimShape, MOST_ROWS)
    concurrency_stamp = Stamp()

    @post_load
    def to_content(self, data: dict[str, Any], **_: Any) -> IdentitySpec:
        """Return the identity resource as the service takes it."""
        return IdentitySpec(**data)


class ListQuery(Paging):
    """The name, exactly."""

    name = text(data_key="q.Name", load_default=None)


COLUMNS = {
    "id": IdentityResource.id,
    "enabled": IdentityResource.enabled,
    "name": IdentityResource.name,
    "displayName": IdentityResource.display_name,
    "description": IdentityResource.description,
    "required": IdentityResource.required,
    "emphasize": IdentityResource.emphasize,
    "showInDiscoveryDocument": IdentityResource.show_in_discovery_document,
}


@center.operation(
    "identityresource-get",
    "GET",
    "/IdentityResource",
    scope=Scope.IDENTITYRESOURCE_GET,
    tenant=platform,
    query=ListQuery(),
    result=IdentityResourceShape(),
    form="list",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List identity resources."""
    statement = resources.select_identities(name=query["name"])
    return fetch(database(), statement, query, COLUMNS, key=IdentityResource.id)


@center.operation(
    "identityresource-put",
    "PUT",
    "/IdentityResource",
    scope=Scope.IDENTITYRESOURCE_PUT,
    tenant=platform,
    body=IdentityResourceShape(),
    result=int64(),
    errors=("NotFound",),
)
def update(body: IdentitySpec) -> int:
    """Update an identity resource."""
    resource = resources.replace_identity(database(), body)
    database().commit()
    return resource.id


@center.operation(
    "identityresource-post",
    "POST",
    "/IdentityResource",
    scope=Scope.IDENTITYRESOURCE_POST,
    tenant=platform,
    body=IdentityResourceShape(),
    result=int64(),
)
def create(body: IdentitySpec) -> int:
    """Create an identity resource."""
    resource = resources.add_identity(database(), body)
    database().commit()
    return resource.id


@center.operation(
    "identityresource-detail",
    "GET",
    "/IdentityResource/<int:id>",
    scope=Scope.IDENTITYRESOURCE_DETAIL,
    tenant=platform,
    result=IdentityResourceShape(),
    errors=("NotFound",),
)
def detail(id: int) -> IdentityResource:
    """Read an identity resource."""
    return resources.get_identity(database(), id)


@center.operation(
    "identityresource-delete",
    "DELETE",
    "/IdentityResource/<int:id>",
    scope=Scope.IDENTITYRESOURCE_DELETE,
    tenant=platform,
    result=int64(),
    errors=("NotFound",),
)
def delete(id: int) -> int:
    """Delete an identity resource."""
    resources.delete_identity(database(), id)
    database().commit()
    return id


@center.operation(
    "identityresource-codes", "GET", "/IdentityResource/Codes", result=CodeShape(), form="bare"
)
def codes() -> list[Any]:
    """Error codes of the identity resource module."""
    return []
