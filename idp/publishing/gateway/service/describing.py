"""Plans that need a description, which is fetched from an address that the caller names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.resources.models import ApiResource
from idp.platform import runtime
from idp.publishing import slots
from idp.publishing.descriptions import fetching, parsing
from idp.publishing.descriptions.flaws import UnusableError
from idp.publishing.gateway import validation
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.service import planning
from idp.publishing.gateway.service.planning import PublishRequest
from idp.publishing.gateway.service.settling import Plan
from idp.publishing.gateway.validation import Description

FETCHES_PER_HOUR = 120
"""Descriptions that this server fetches for one caller."""
FILE = "file:"
"""Begins the source of a description that was sent as a file."""
LONGEST_FILE_NAME = 200


@dataclass(frozen=True, slots=True)
class Source:
    """Where a description comes from: an address, or a file that was sent."""

    url: str | None = None
    content: bytes | None = None
    unverified_name: str = ""


def publish(session: Session, actor: Actor, api: ApiResource, request: PublishRequest) -> Plan:
    """Plan a publication by the description at the address in the request."""
    count(session, actor)
    description = read(session, Source(request.swagger_url))
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
    count(session, actor)
    planning.get_version(session, api.id, planning.split(aid)[0])
    description = read(session, Source(url))
    return planning.revise(session, actor, api, aid, description, note)


def count(session: Session, actor: Actor) -> None:
    """Limit the descriptions that are fetched for one caller."""
    caller = f"{actor.client_id} {actor.person_id}"
    runtime.of(session).throttle.hit("gateway description", caller, FETCHES_PER_HOUR, 3600)


def read(session: Session, source: Source) -> Description:
    """Return a valid description; commits, so that no transaction is open meanwhile."""
    if source.content is not None:
        return _parse(source.content, source.unverified_name)
    address = (source.url or "").strip()
    if not address:
        raise NotPublished(Reason.MISSING, "swaggerUrl")
    session.commit()
    try:
        document = fetching.download(runtime.of(session).fetcher, address)
    except UnusableError as problem:
        raise NotPublished.unusable(problem) from None
    return validation.check(document, address)


def _parse(content: bytes, unverified_name: str) -> Description:
    """Return the valid description in a file; relative servers of it have no meaning."""
    last = re.split(r"[/\\]", unverified_name)[-1]
    name = "".join(letter for letter in last if letter.isprintable())
    try:
        with slots.taken():
            document = parsing.read(content)
    except UnusableError as problem:
        raise NotPublished.unusable(problem) from None
    return validation.check(document, f"{FILE}{name[:LONGEST_FILE_NAME]}")
