"""The API that something is published about."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.resources.service import Reach
from idp.platform.errors import NotFound

_LARGEST_ID = 2**63 - 1


def get(session: Session, api_id: int, reach: Reach) -> ApiResource:
    """Give an API in reach, without its lists."""
    api = None
    if 0 < api_id <= _LARGEST_ID:
        api = session.scalar(resources.select_apis(reach).where(ApiResource.id == api_id))
    if api is None:
        raise NotFound
    return api


def title(api: ApiResource) -> str:
    """Give the name that people know an API by."""
    return api.display_name or api.name
