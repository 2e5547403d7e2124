"""Brands as pages and mails show them: what a tenant sets, else what the operator sets."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import colours
from idp.directory.branding.models import Branding
from idp.directory.tenants.models import Tenant
from idp.platform import runtime
from idp.platform.cache import looked_up
from idp.platform.issuer import Brand


def find_row(session: Session, tenant_id: int) -> Branding | None:
    """Find what a tenant sets."""
    return session.scalar(select(Branding).where(Branding.tenant_id == tenant_id))


@looked_up("brand")
def of_tenant(session: Session, tenant_id: int) -> Brand | None:
    """Return the brand of a tenant where people may sign in for it; cached."""
    tenant = session.get(Tenant, tenant_id)
    return None if tenant is None or not tenant.is_enabled else brand_of(session, tenant)


def default_accent(session: Session, tenant: Tenant) -> str | None:
    """Return the colour of a tenant that sets none: by its theme, else the operator's."""
    by_theme = colours.PALETTES.get(tenant.theme or "")
    return by_theme or runtime.of(session).settings.brand_accent or None


def brand_of(session: Session, tenant: Tenant) -> Brand:
    """Return the brand of a tenant."""
    settings = runtime.of(session).settings
    found = find_row(session, tenant.id)
    row = found or Branding(texts={})
    return Brand(
        tenant_id=tenant.id,
        issuer_tenant_id=tenant.issuer_tenant_id,
        name=row.name or tenant.name,
        is_own=found is not None or tenant.theme in colours.PALETTES,
        accent=row.accent or default_accent(session, tenant),
        accent_dark=row.accent_dark if row.accent else None,
        logo=row.logo,
        logo_uri=tenant.logo_uri,
        icon=row.icon,
        help_uri=row.help_uri or settings.brand_help_url or None,
        privacy_uri=row.privacy_uri or settings.brand_privacy_url or None,
        imprint_uri=row.imprint_uri or settings.brand_imprint_url or None,
        texts=tuple(
            (language, place, text)
            for language, places in sorted(row.texts.items())
            for place, text in sorted(places.items())
        ),
    )
