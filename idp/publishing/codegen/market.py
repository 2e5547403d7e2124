"""What becomes of a finished SDK outside of its job: it is entered in the package market."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.resources.models import ApiResource
from idp.platform import runtime
from idp.publishing import apis
from idp.publishing.packages import service as packages


@dataclass(frozen=True, slots=True)
class Finished:
    """An SDK of an API that can be had now."""

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
    """Who asked for it; None: a machine."""


def enter(session: Session, finished: Finished) -> None:
    """Enter an SDK among the packages of its API, in place of an older version."""
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
