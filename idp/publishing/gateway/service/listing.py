"""What publications may name: our rows, or the lists of a tenant's own gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from idp.publishing import slots
from idp.publishing.gateway import drivers, products
from idp.publishing.gateway.models import AuthorizationServer, Product

Listed = Mapping[str, Any]
"""A list as the gateway of a tenant wrote it."""


def list_products(session: Session, tenant_id: int) -> Sequence[Product] | Listed | None:
    """Return the products that a tenant may use; None: its gateway is not responding."""
    azure = drivers.find_azure(session, tenant_id)
    if azure is None:
        return products.list_products(session, tenant_id)
    session.commit()  # no transaction is open meanwhile
    with slots.taken():
        return azure.products()


def list_servers(session: Session, tenant_id: int) -> Sequence[AuthorizationServer] | Listed | None:
    """Return the authorization servers that a tenant may use; None as above."""
    azure = drivers.find_azure(session, tenant_id)
    if azure is None:
        return products.list_servers(session, tenant_id)
    session.commit()
    with slots.taken():
        return azure.authorization_servers()
