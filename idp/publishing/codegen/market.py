"""Adding a finished SDK to the package market."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.resources.models import ApiResource
from idp.platform import runtime
from idp.publishing import apis
from idp.publishing.packages import service as packages


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished SDK of an API."""

    job_id: int
    api_resource_id: int
    package: str
    """Name of the package; of an archive: that of its generator."""
    version: str
    language: str
    """`angular2`, `jQuery`, or the name of the generator."""
    platform: str
    """`npm`, or `archive` where it is only to be downloaded here."""
    link: str
    """Where it was published, or where its archive is downloaded."""
    user_id: int | None
    """Who requested it; None: a machine."""


def enter(session: Session, finished: Finished) -> None:
    """Add an SDK to the packages of its API, in place of an older version."""
    api = session.get(ApiResource, finished.api_resource_id)
    if api is None:
        return
    content = packages.Content(
        name=finished.package,
        publisher=apis.title(api),
        link=finished.link,
        icon=f"{runtime.of(session).settings.public_url}/static/idp.svg",
        platform=finished.platform,
        language=finished.language,
        version=finished.version or None,
    )
    packages.enter(session, api, content, replace=True)
