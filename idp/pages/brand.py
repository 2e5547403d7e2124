"""Whose brand a page shows: that of the issuer, or of the tenant that the page is about."""

from __future__ import annotations

from flask import g

from idp.directory.branding import snapshot
from idp.platform.issuer import Brand
from idp.platform.web.views import database, find_current_issuer

PRODUCT = "idp"


def show_tenant(tenant_id: int | None) -> None:
    """Show the brand of a tenant on the page under way, if it has one and signs in here."""
    g.brand_tenant_id = tenant_id


def current() -> Brand:
    """Return the brand of the page under way."""
    issuer = find_current_issuer()
    if issuer is None or issuer.brand is None:
        return Brand(0, 0, PRODUCT)
    tenant_id: int | None = g.get("brand_tenant_id")
    if tenant_id is None or tenant_id == issuer.tenant_id:
        return issuer.brand
    found = snapshot.of_tenant(database(), tenant_id)
    is_shown = found is not None and found.is_own and found.issuer_tenant_id == issuer.tenant_id
    return found if is_shown and found is not None else issuer.brand
