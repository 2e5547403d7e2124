"""Bundles: who has one, and the end of one that nobody has. The user service manages the rest."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from idp.api.actor import platform
from idp.api.admin.dialect import AdminShape, Tagged, admin
from idp.directory.bundles import effects
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import Bundle
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import int32, text

PATH = "/bundles/<code>"
READ, WRITE = Scope.ADMIN_BUNDLES_READ, Scope.ADMIN_BUNDLES_WRITE


class BundleShape(AdminShape):
    """A bundle, with the number of tenants that have it."""

    schema_name = "BundleUse"

    code = text()
    name = text()
    tenant_type = text()
    initialize = fields.Boolean()
    tenants = int32()


@admin.operation("bundles-get", "GET", PATH, scope=READ, tenant=platform, result=BundleShape())
def detail(code: str) -> Tagged:
    """Read a bundle with the number of its tenants."""
    bundle = bundles.get(database(), code)
    return Tagged(shown(bundle), bundles.stamp_of(bundle))


@admin.operation("bundles-delete", "DELETE", PATH, scope=WRITE, tenant=platform, form="empty")
def delete(code: str, stamp: str | None) -> None:
    """Delete a bundle that no tenant has."""
    bundles.delete(database(), bundles.get(database(), code).id, stamp)
    database().commit()


def shown(bundle: Bundle) -> dict[str, Any]:
    """Show a bundle."""
    return {
        "code": bundle.code,
        "name": bundle.name,
        "tenant_type": bundle.tenant_type_code,
        "initialize": bundle.initialize,
        "tenants": effects.count_tenants(database(), [bundle.code])[bundle.code],
    }
