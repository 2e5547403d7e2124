"""Bundles: create, update, read and list them."""

from __future__ import annotations

from collections.abc import Sequence

from idp.api.shapes import Shape, boolean, int32, int64, text
from idp.api.userservice.caller import platform
from idp.api.userservice.dialect import userservice
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import Bundle
from idp.platform.scopes import Scope
from idp.platform.web.views import database

MODULE = "accounts-tenants-bundles"


class BundleShape(Shape):
    """A bundle."""

    schema_name = "BundleDTO"

    id = int64(minimum=0, load_default=0)
    code = text(100)
    name = text(200)
    tenant_type_code = text(100)
    ability = text(200_000)
    initialize = boolean(load_default=False)
    comment = text(2000, allow_none=True, load_default=None)
    number_of_app = int32(minimum=0, allow_none=True, load_default=None)
    number_of_concurrent = int32(minimum=0, allow_none=True, load_default=None)
    number_of_invocation = int32(minimum=0, allow_none=True, load_default=None)


@userservice.operation(
    "listBundles",
    "GET",
    "/bundles/bundle-list",
    scope=Scope.US_BUNDLE_LIST,
    module=MODULE,
    machine=True,
    tenant=platform,
    gives=BundleShape(),
    form="list",
)
def list_() -> Sequence[Bundle]:
    """List all bundles."""
    return bundles.list_all(database())


@userservice.operation(
    "getBundleByCode",
    "GET",
    "/bundles/<bundleCode>",
    scope=Scope.US_BUNDLE_INFO,
    module=MODULE,
    machine=True,
    tenant=platform,
    gives=BundleShape(),
)
def detail(bundleCode: str) -> Bundle:
    """Get a bundle."""
    return bundles.get(database(), bundleCode)
