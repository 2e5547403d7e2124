"""SDK packages of a microservice: the market, and the packages that its owner adds."""

from __future__ import annotations

from typing import Any

from marshmallow import post_load

from idp.api.actor import current_actor
from idp.api.center.codes import Code
from idp.api.center.dialect import Page, Refusal, center
from idp.directory.scopes import Scope
from idp.platform.errors import Conflict
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, Shape, boolean, int32, text
from idp.publishing.packages import service as packages
from idp.publishing.packages.service import Content


class PackageRequestShape(Shape):
    """A package as its owner adds it."""

    name = text(200, minimum=1, required=True)
    version = text(100, allow_none=True, load_default=None)
    description = text(2000, allow_none=True, load_default=None)
    publisher = text(200, minimum=1, required=True)
    link = text(2000, minimum=1, required=True)
    icon = text(2000, minimum=1, required=True)
    platform = text(100, minimum=1, data_key="packagePlatform", required=True)
    language = text(100, minimum=1, required=True)
    show_index = int32(load_default=0)
    tags = text(1000, allow_none=True, load_default=None)

    @post_load
    def to_content(self, data: dict[str, Any], **_: Any) -> Content:
        """Return the package as the service takes it."""
        return Content(**data)


class PackageShape(Shape):
    """A package of the market."""

    api_resource_id = text(data_key="partitionKey", required=True)
    updated_at = Moment(data_key="timestamp")
    e_tag = text(data_key="eTag", allow_none=True, dump_default=None)
    name = text(data_key="rowKey", required=True)
    version = text(allow_none=True)
    description = text(allow_none=True)
    publisher = text(allow_none=True)
    link = text(allow_none=True)
    icon = text(allow_none=True)
    show_index = int32(load_default=0)
    tags = text(allow_none=True)
    platform = text(data_key="packagePlatform", allow_none=True)
    language = text(allow_none=True)


@center.operation(
    "apiresource-packages",
    "GET",
    "/ApiResource/<int:id>/Packages",
    scope=Scope.APIRESOURCE_PACKAGES,
    result=PackageShape(),
    form="list",
    errors=("NotFound",),
)
def list_(id: int) -> Page:
    """List SDK packages of a microservice."""
    rows = packages.list_visible(database(), current_actor(), id)
    return Page(rows, take=len(rows), skip=0, total=len(rows))


@center.operation(
    "apiresource-postpackage",
    "POST",
    "/ApiResource/<int:id>/Packages",
    scope=Scope.APIRESOURCE_POSTPACKAGES,
    body=PackageRequestShape(),
    result=boolean(),
    errors=("NotFound", "Packages_PostFailed"),
)
def create(id: int, body: Content) -> bool:
    """Add an SDK package."""
    try:
        packages.add(database(), current_actor(), id, body)
    except Conflict:
        raise Refusal(Code.Packages_PostFailed) from None
    database().commit()
    return True


@center.operation(
    "apiresource-deletepackage",
    "DELETE",
    "/ApiResource/<int:id>/Packages/<path:packageId>",
    scope=Scope.APIRESOURCE_DELETEPACKAGE,
    result=boolean(),
    errors=("NotFound",),
)
def delete(id: int, packageId: str) -> bool:  # noqa: N803 - as the contract calls it
    """Remove an SDK package."""
    packages.remove(database(), current_actor(), id, packageId)
    database().commit()
    return True
