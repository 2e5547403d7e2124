"""Brands as pages and mails show them: what a tenant sets, else what the operator sets."""

from __future__ import annotations

from sqlalchemy import Select, select
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


def select_branded() -> Select[Tenant, Branding | None]:
    """Return the query of tenants, each with what it sets: one query for both."""
    return select(Tenant, Branding).outerjoin(Branding, Branding.tenant_id == Tenant.id)


@looked_up("brand")
def of_tenant(session: Session, tenant_id: int) -> Brand | None:
    """Return the brand of a tenant where people may sign in for it; cached."""
    found = session.execute(select_branded().where(Tenant.id == tenant_id)).first()
    return brand_of(session, *found) if found is not None and found[0].is_enabled else None


def default_accent(session: Session, tenant: Tenant) -> str | None:
    """Return the colour of a tenant that sets none: by its theme, else the operator's."""
    by_theme = colours.PALETTES.get(tenant.theme or "")
    return by_theme or runtime.of(session).settings.brand_accent or None


def brand_of(session: Session, tenant: Tenant, found: Branding | None) -> Brand:
    """Return the brand of a tenant, from what it sets."""
    settings = runtime.of(session).settings
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
