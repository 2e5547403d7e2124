"""The rules about bundles: what a tenant of a type starts with, and what it may have."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.bundles.models import Bundle
from idp.directory.tenants.models import Tenant
from idp.platform.errors import NotFound


def get(session: Session, code: str) -> Bundle:
    """Give a bundle by its code."""
    bundle = find(session, code)
    if bundle is None:
        raise NotFound("There is no such bundle.")
    return bundle


def find(session: Session, code: str) -> Bundle | None:
    """Find a bundle by its code."""
    return session.scalar(select(Bundle).where(Bundle.code == code))


def of_tenant(session: Session, tenant_id: int) -> Bundle | None:
    """Find the bundle that a tenant has."""
    has = select(Bundle).join(Tenant, Tenant.bundle_code == Bundle.code)
    return session.scalar(has.where(Tenant.id == tenant_id))


def list_all(session: Session) -> Sequence[Bundle]:
    """List all bundles, initial ones too."""
    return session.scalars(select(Bundle).order_by(Bundle.id)).all()
