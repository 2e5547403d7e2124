"""Requests that are checked first and carried out later, by the person who saw the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, undefer

from idp.directory.actor import Actor
from idp.directory.resources.models import ApiResource
from idp.platform import clock, runtime
from idp.platform.db import count_hits
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX
from idp.publishing.descriptions import operations
from idp.publishing.gateway import breaking, tables, validation
from idp.publishing.gateway.models import PublicationDraft
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.service import describing, planning, settling
from idp.publishing.gateway.service.describing import Source
from idp.publishing.gateway.service.planning import PublishRequest
from idp.publishing.gateway.service.settling import Plan
from idp.publishing.gateway.state import Published, Revision, Version, unpack
from idp.publishing.gateway.validation import Description

MINUTES = 60
"""How long a person may look at the result of a check."""
PUBLISH, REVISE = "publish", "revise"


@dataclass(frozen=True, slots=True)
class Note:
    """A further revision of a version, with a note about it."""

    aid: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What carrying a draft out changes."""

    before: Published | None
    after: Published
    version: Version
    """The version that is published or gets a revision, as it will be."""
    revision: Revision | None
    """The new revision; None: the description is the one that is online."""
    breaking: Sequence[str]
    """What breaks for clients of the revision that is online."""
    source: str
    kind: str
    title: str
    operations: int


def check_draft(
    session: Session, actor: Actor, api: ApiResource, request: PublishRequest | Note, source: Source
) -> PublicationDraft:
    """Check a request with its description and keep it, in place of an earlier one."""
    describing.count(session, actor)
    api_id = api.id
    description = describing.read(session, source)
    if isinstance(request, PublishRequest):
        request = replace(request, swagger_url=source.url if source.content is None else None)
    before, after = _states(session, api, request, description)
    settling.check(session, before, after)
    mine = (
        PublicationDraft.api_resource_id == api_id,
        PublicationDraft.user_id == actor.person_id,
    )
    session.execute(delete(PublicationDraft).where(*mine))
    content = orjson.dumps(asdict(request))
    row = PublicationDraft(
        api_resource_id=api_id,
        user_id=actor.person_id,
        action=PUBLISH if isinstance(request, PublishRequest) else REVISE,
        request_encrypted=runtime.of(session).keyring.encrypt(tables.PURPOSE, content),
        source_url=description.url,
        document=description.packed(),
        stamp=before.stamp if before else "",
        expires_at=clock.now() + timedelta(minutes=MINUTES),
    )
    session.add(row)
    session.flush()
    return row


def preview_draft(session: Session, actor: Actor, api: ApiResource, draft_id: int) -> Preview:
    """Return what carrying a draft out changes; refused as the draft itself would be now."""
    row = get_draft(session, actor, api, draft_id)
    request, description = _request(session, row), _description(row)
    before, after = _states(session, api, request, description)
    _check_unchanged(row, before)
    settling.check(session, before, after)
    return _preview(session, before, after, request.aid, description)


def carry_out_draft(session: Session, actor: Actor, api: ApiResource, draft_id: int) -> Plan:
    """Plan what a draft asks for; the draft is gone with it, so it is carried out once."""
    row = get_draft(session, actor, api, draft_id)
    request, description = _request(session, row), _description(row)
    action, row_id = row.action, row.id
    before, after = _states(session, api, request, description)
    _check_unchanged(row, before)
    if not count_hits(session, delete(PublicationDraft).where(PublicationDraft.id == row_id)):
        raise NotFound
    return settling.make(session, actor, action, before, after)


def get_draft(session: Session, actor: Actor, api: ApiResource, draft_id: int) -> PublicationDraft:
    """Return a draft of the actor that has not expired."""
    row = session.scalar(
        select(PublicationDraft)
        .where(
            PublicationDraft.id == min(draft_id, INT64_MAX),
            PublicationDraft.api_resource_id == api.id,
            PublicationDraft.user_id == actor.person_id,
            PublicationDraft.expires_at > clock.now(),
        )
        .options(undefer(PublicationDraft.document))
    )
    if row is None:
        raise NotFound
    return row


def _states(
    session: Session, api: ApiResource, request: PublishRequest | Note, description: Description
) -> tuple[Published | None, Published]:
    if isinstance(request, PublishRequest):
        return planning.published(session, api, request, description)
    return planning.revised(session, api, request.aid, description, request.note)


def _request(session: Session, row: PublicationDraft) -> PublishRequest | Note:
    content = runtime.of(session).keyring.decrypt(tables.PURPOSE, row.request_encrypted)
    values: dict[str, Any] = orjson.loads(content)
    return PublishRequest(**values) if row.action == PUBLISH else Note(**values)


def _description(row: PublicationDraft) -> Description:
    return validation.check(unpack(row.document), row.source_url)


def _check_unchanged(row: PublicationDraft, before: Published | None) -> None:
    """Refuse a draft whose result was shown of another state."""
    if row.stamp != (before.stamp if before else ""):
        raise NotPublished(Reason.CHANGED_MEANWHILE)


def _preview(
    session: Session,
    before: Published | None,
    after: Published,
    aid_text: str,
    description: Description,
) -> Preview:
    aid, _ = planning.split(aid_text)
    version, known = after.find(aid), before.find(aid) if before else None
    if version is None:
        raise NotFound
    is_new = known is None or known.newest.number != version.newest.number
    lost: Sequence[str] = ()
    if known is not None and is_new:
        online = tables.document(session, aid, known.current.number)
        lost = breaking.between(online, description.document)
    return Preview(
        before,
        after,
        version,
        version.newest if is_new else None,
        lost,
        description.url,
        description.kind,
        operations.info(description.document, "title"),
        sum(1 for _ in operations.of(description.document)),
    )
