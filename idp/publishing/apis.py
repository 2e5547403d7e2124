"""The API that something is published about."""

from __future__ import annotations

from sqlalchemy import and_, or_, select, true
from sqlalchemy.orm import Session

from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiScope
from idp.directory.resources.service import Reach
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import Issuer
from idp.publishing.gateway.models import Publication


def get(session: Session, api_id: int, reach: Reach) -> ApiResource:
    """Give an API in reach, without its lists."""
    api = find(session, api_id, reach)
    if api is None:
        raise NotFound
    return api


def find(session: Session, api_id: int, reach: Reach) -> ApiResource | None:
    """Find an API in reach, without its lists."""
    if not 0 < api_id <= INT64_MAX:
        return None
    return session.scalar(resources.select_apis(reach).where(ApiResource.id == api_id))


def title(api: ApiResource) -> str:
    """Give the name that people know an API by."""
    return api.display_name or api.name


def open_to_all(issuer: Issuer) -> Reach:
    """Tell whose page strangers may see: what is published here or named by discovery anyway."""
    shown = select(ApiScope.id).where(
        ApiScope.api_resource_id == ApiResource.id, ApiScope.show_in_discovery_document
    )
    published = select(Publication.id).where(Publication.api_resource_id == ApiResource.id)
    is_served = or_(ApiResource.tenant_id.is_(None), ApiResource.tenant_id == issuer.tenant_id)
    if issuer.is_platform:  # where tenants without a host of their own are
        is_served = true()
    return and_(ApiResource.enabled, is_served, or_(shown.exists(), published.exists()))
