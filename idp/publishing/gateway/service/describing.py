"""Plans that need a description, which is fetched from an address that the caller names."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.resources.models import ApiResource
from idp.platform import runtime
from idp.publishing.descriptions import fetching
from idp.publishing.descriptions.flaws import UnusableError
from idp.publishing.gateway import validation
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.service import planning
from idp.publishing.gateway.service.planning import PublishRequest
from idp.publishing.gateway.service.settling import Plan
from idp.publishing.gateway.validation import Description

FETCHES_PER_HOUR = 120
"""Descriptions that this server fetches for one caller."""


def publish(session: Session, actor: Actor, api: ApiResource, request: PublishRequest) -> Plan:
    """Plan a publication by the description at the address in the request."""
    _count(session, actor)
    description = _fetch(session, request.swagger_url)
    return planning.publish(session, actor, api, request, description)


def revise(
    session: Session,
    actor: Actor,
    api: ApiResource,
    aid: str,
    *,
    url: str | None,
    note: str,
) -> Plan:
    """Plan a revision of a version by the description at an address."""
    _count(session, actor)
    planning.get_version(session, api.id, planning.split(aid)[0])
    description = _fetch(session, url)
    return planning.revise(session, actor, api, aid, description, note)


def _count(session: Session, actor: Actor) -> None:
    """Limit the descriptions that are fetched for one caller."""
    caller = f"{actor.client_id} {actor.person_id}"
    runtime.of(session).throttle.hit("gateway description", caller, FETCHES_PER_HOUR, 3600)


def _fetch(session: Session, url: str | None) -> Description:
    """Return a valid description; commits, so that no transaction is open meanwhile."""
    address = (url or "").strip()
    if not address:
        raise NotPublished(Reason.MISSING, "swaggerUrl")
    session.commit()
    try:
        document = fetching.download(runtime.of(session).fetcher, address)
    except UnusableError as problem:
        raise NotPublished.unusable(problem) from None
    return validation.check(document, address)
