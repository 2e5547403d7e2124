"""The rules about bundles: what a tenant of a type starts with, and what it may have."""

from __future__ import annotations

import json
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


def privilege_codes(session: Session, tenant_id: int) -> frozenset[str] | None:
    """Give the codes of privileges that a tenant's bundle contains; None: it has no bundle."""
    ability = session.scalar(
        select(Bundle.ability)
        .join(Tenant, Tenant.bundle_code == Bundle.code)
        .where(Tenant.id == tenant_id)
    )
    if ability is None:
        return None
    roles = json.loads(ability)["roles"]
    return frozenset(code for role in roles for code in role["privilegeCodes"])


def list_all(session: Session) -> Sequence[Bundle]:
    """List all bundles, initial ones too."""
    return session.scalars(select(Bundle).order_by(Bundle.id)).all()
