"""The API that something is published about."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, or_, select, true
from sqlalchemy.orm import Session, raiseload

from idp.directory.actor import Actor
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiScope
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import Issuer
from idp.publishing.gateway.models import Publication


def get(session: Session, api_id: int, *conditions: ColumnElement[bool]) -> ApiResource:
    """Return an API without its lists; NotFound unless it fulfils the conditions."""
    api = find(session, api_id, *conditions)
    if api is None:
        raise NotFound
    return api


def find(session: Session, api_id: int, *conditions: ColumnElement[bool]) -> ApiResource | None:
    """Find an API that fulfils conditions, without its lists."""
    if not 0 < api_id <= INT64_MAX:
        return None
    query = select(ApiResource).where(ApiResource.id == api_id, *conditions)
    return session.scalar(query.options(raiseload("*")))


def by_ids(session: Session, api_ids: Collection[int]) -> dict[int, ApiResource]:
    """Return several APIs without their lists, by id."""
    query = select(ApiResource).where(ApiResource.id.in_(api_ids)).options(raiseload("*"))
    return {api.id: api for api in session.scalars(query)}


def get_managed(session: Session, actor: Actor, api_id: int) -> ApiResource:
    """Return an API that the actor manages, without its lists."""
    return get(session, api_id, resources.in_reach(actor))


def get_visible(session: Session, actor: Actor, api_id: int) -> ApiResource:
    """Return an API that the actor may see: one of the platform or of their tenant."""
    own = or_(ApiResource.tenant_id.is_(None), ApiResource.tenant_id == actor.tenant_id)
    return get(session, api_id, true() if actor.is_platform_admin else own)


def title(api: ApiResource) -> str:
    """Return the name that people know an API by."""
    return api.display_name or api.name


def open_to_all(issuer: Issuer) -> ColumnElement[bool]:
    """Return in SQL which APIs have a public page: those published here or named by discovery."""
    shown = select(ApiScope.id).where(
        ApiScope.api_resource_id == ApiResource.id, ApiScope.show_in_discovery_document
    )
    published = select(Publication.id).where(Publication.api_resource_id == ApiResource.id)
    is_served = or_(ApiResource.tenant_id.is_(None), ApiResource.tenant_id == issuer.tenant_id)
    if issuer.is_platform:  # where tenants without a host of their own are
        is_served = true()
    return and_(ApiResource.enabled, is_served, or_(shown.exists(), published.exists()))
