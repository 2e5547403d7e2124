"""What publications may name: our rows, or the lists of a tenant's own gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session, raiseload, selectinload

from idp.directory.actor import Actor
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.publishing import slots
from idp.publishing.gateway import drivers, products
from idp.publishing.gateway.models import (
    AuthorizationServer,
    Product,
    Publication,
    PublicationVersion,
)

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


def select_publications(actor: Actor) -> Select[Publication]:
    """Select the publications of the microservices in reach, with versions and revisions."""
    revisions = selectinload(Publication.versions).selectinload(PublicationVersion.revisions)
    return (
        select(Publication)
        .join(ApiResource, ApiResource.id == Publication.api_resource_id)
        .where(resources.in_reach(actor))
        .options(revisions, raiseload("*"))
    )


def select_unpublished(actor: Actor) -> Select[ApiResource]:
    """Select the enabled microservices in reach that are not published."""
    return resources.select_apis(actor).where(ApiResource.enabled, ~_is_published())


def _is_published() -> ColumnElement[bool]:
    return select(Publication.id).where(Publication.api_resource_id == ApiResource.id).exists()
