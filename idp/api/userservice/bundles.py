"""Bundles: create, update, read and list them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import fields, post_load

from idp.api.actor import current_actor, platform
from idp.api.userservice.dialect import userservice
from idp.api.userservice.shapes import Words
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import Bundle
from idp.directory.bundles.service import BundleSpec
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import Shape, int32, optional_id, text

MODULE = "accounts-tenants-bundles"


class BundleShape(Shape):
    """A bundle; `ability` is JSON text of roles and privileges, null quotas mean no limit."""

    schema_name = "BundleDTO"

    id = optional_id()
    code = text(100, minimum=1, required=True)
    name = text(200, minimum=1, required=True)
    tenant_type_code = text(100, minimum=1, required=True)
    ability = text(1_000_000, minimum=1, required=True)
    # The contract has 1 and 0 in its text, and boolean as the type.
    initialize = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    comment = Words(2000)
    number_of_app = int32(minimum=0, allow_none=True, load_default=None)
    number_of_concurrent = int32(minimum=0, allow_none=True, load_default=None)
    number_of_invocation = int32(minimum=0, allow_none=True, load_default=None)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> tuple[int | None, BundleSpec]:
        """Return the id and the bundle as the service takes it."""
        return data.pop("id"), BundleSpec(**data)


@userservice.operation(
    "createBundle",
    "POST",
    "/bundles",
    scope=Scope.US_BUNDLE_CREATE,
    module=MODULE,
    machine=True,
    tenant=platform,
    body=BundleShape(),
    result=fields.Boolean(),
    errors=("bundle_taken", "initial_bundle_taken", "invalid_ability", "overreach"),
)
def create(body: tuple[int | None, BundleSpec]) -> bool:
    """Create a bundle."""
    bundles.create(database(), current_actor(), body[1])
    database().commit()
    return True


@userservice.operation(
    "updateBundle",
    "PUT",
    "/bundles",
    scope=Scope.US_BUNDLE_UPDATE,
    module=MODULE,
    machine=True,
    tenant=platform,
    body=BundleShape(),
    result=fields.Boolean(),
    errors=(
        *("bundle_taken", "initial_bundle_taken", "invalid_ability", "overreach"),
        "bundle_in_use",
    ),
)
def update(body: tuple[int | None, BundleSpec]) -> bool:
    """Update a bundle, found by its id, else by its code."""
    bundles.update(database(), current_actor(), *body)
    database().commit()
    return True


@userservice.operation(
    "listBundles",
    "GET",
    "/bundles/bundle-list",
    scope=Scope.US_BUNDLE_LIST,
    module=MODULE,
    machine=True,
    result=BundleShape(),
    form="list",
)
def list_() -> Sequence[Bundle]:
    """List all bundles."""
    return bundles.list_all(database())


@userservice.operation(
    "listNonInitialBundlesByTenantType",
    "GET",
    "/bundles/tenant-types/<tenantType>/bundle-list",
    scope=Scope.US_BUNDLE_LISTBYTYPE,
    module=MODULE,
    machine=True,
    result=BundleShape(),
    form="list",
)
def list_of_type(tenantType: str) -> Sequence[Bundle]:
    """List the bundles of a tenant type without initial ones."""
    return bundles.list_to_switch_to(database(), tenantType)


@userservice.operation(
    "getBundleByCode",
    "GET",
    "/bundles/<bundleCode>",
    scope=Scope.US_BUNDLE_INFO,
    module=MODULE,
    machine=True,
    result=BundleShape(),
)
def detail(bundleCode: str) -> Bundle:
    """Get a bundle."""
    return bundles.get(database(), bundleCode)
