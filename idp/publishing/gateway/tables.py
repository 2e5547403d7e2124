"""Publications in the database, read and written as one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session, selectinload

from idp.directory.resources.models import ApiResource
from idp.platform import clock, runtime
from idp.platform.db import bump_configuration, count_hits
from idp.platform.errors import NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.stamps import new_stamp
from idp.publishing.gateway.models import (
    Publication,
    PublicationDraft,
    PublicationRelease,
    PublicationRevision,
    PublicationVersion,
    Upstream,
)
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.state import Published, Release, Revision, Version, unpack

PURPOSE = "publish request"

_WHOLE = (
    select(Publication, ApiResource.tenant_id)
    .join(ApiResource, ApiResource.id == Publication.api_resource_id)
    .options(
        selectinload(Publication.versions).selectinload(PublicationVersion.revisions),
        selectinload(Publication.versions).selectinload(PublicationVersion.releases),
    )
    .order_by(Publication.id)
)


def find(session: Session, api_id: int) -> Published | None:
    """Return a microservice's publication; None: it is not published."""
    found = _read(session, _WHOLE.where(Publication.api_resource_id == api_id))
    return found[0] if found else None


def find_by_suffix(session: Session, suffix: str) -> Published | None:
    """Return the publication of an enabled microservice under a suffix."""
    query = _WHOLE.where(Publication.suffix_key == suffix.lower(), ApiResource.enabled)
    found = _read(session, query)
    return found[0] if found else None


def everything(session: Session) -> list[Published]:
    """List the publications of all enabled microservices."""
    return _read(session, _WHOLE.where(ApiResource.enabled))


def document(session: Session, aid: str, number: int) -> dict[str, Any]:
    """Return the description of a revision."""
    return unpack(packed(session, aid, number))


def packed(session: Session, aid: str, number: int) -> bytes:
    """Return the description of a revision as it is stored."""
    found = session.scalar(
        select(PublicationRevision.document)
        .join(PublicationVersion, PublicationVersion.id == PublicationRevision.version_id)
        .where(PublicationVersion.aid == aid, PublicationRevision.number == number)
    )
    if found is None:
        raise NotFound
    return found


def upstreams(session: Session) -> dict[int, list[str]]:
    """Return the allowed upstreams by tenant."""
    found: dict[int, list[str]] = {}
    for tenant_id, url in session.execute(select(Upstream.tenant_id, Upstream.url)):
        found.setdefault(tenant_id, []).append(url)
    return found


def store(session: Session, before: Published | None, after: Published) -> None:
    """Bring the rows from one state to the next; refused if they have changed since."""
    keyring = runtime.of(session).keyring
    values: dict[str, Any] = {
        "suffix": after.suffix,
        "suffix_key": after.suffix.lower(),
        "name": after.name,
        "description": after.description,
        "authorization_server": after.authorization_server,
        "scope": after.scope,
        "openid": after.openid,
        "configuration_encrypted": keyring.encrypt(PURPOSE, after.configuration.encode()),
        "number": after.number,
        "stamp": new_stamp(),
    }
    if before is None or before.number != after.number:
        values["published_at"] = clock.now()
    if before is None:
        publication = Publication(api_resource_id=after.api_id, **values)
        session.add(publication)
    else:
        changed = (
            update(Publication)
            .where(Publication.api_resource_id == after.api_id, Publication.stamp == before.stamp)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        if not count_hits(session, changed):
            raise NotPublished(Reason.CHANGED_MEANWHILE)
        publication = session.scalars(
            select(Publication)
            .where(Publication.api_resource_id == after.api_id)
            .execution_options(populate_existing=True)
        ).one()
    _store_versions(session, publication, after.versions)
    session.flush()
    bump_configuration(session)


def rewrap(session: Session) -> int:
    """Encrypt publish requests again under the current root secret; return how many.

    Drafts are removed instead: they live for an hour.
    """
    keyring = runtime.of(session).keyring
    count = 0
    session.execute(delete(PublicationDraft))
    for row in session.scalars(select(Publication)):
        if not keyring.is_current(row.configuration_encrypted):
            clear = keyring.decrypt(PURPOSE, row.configuration_encrypted)
            row.configuration_encrypted = keyring.encrypt(PURPOSE, clear)
            count += 1
    session.flush()
    return count


def drop_unreadable(session: Session) -> list[str]:
    """Empty the publish requests that no root secret opens; return the suffixes of their APIs.

    An API stays published. What is left of its last request has no policy.
    """
    keyring = runtime.of(session).keyring
    session.execute(delete(PublicationDraft))
    query = select(Publication).options(selectinload(Publication.versions))
    lost = [
        row
        for row in session.scalars(query)
        if not keyring.opens(PURPOSE, row.configuration_encrypted)
    ]
    for row in lost:
        left = {
            "aid": row.versions[0].aid,
            "suffix": row.suffix,
            "name": row.name,
            "description": row.description,
        }
        row.configuration_encrypted = keyring.encrypt(PURPOSE, orjson.dumps(left))
        row.stamp = new_stamp()
    session.flush()
    return sorted(row.suffix for row in lost)


def _read(session: Session, query: Select[Publication, int | None]) -> list[Published]:
    keyring = runtime.of(session).keyring
    rows = session.execute(query.execution_options(populate_existing=True)).all()
    return [
        Published(
            api_id=row.api_resource_id,
            tenant_id=tenant_id or PLATFORM_TENANT_ID,
            stamp=row.stamp,
            suffix=row.suffix,
            name=row.name,
            description=row.description,
            authorization_server=row.authorization_server,
            scope=row.scope,
            openid=row.openid,
            configuration=keyring.decrypt(PURPOSE, row.configuration_encrypted).decode(),
            number=row.number,
            versions=tuple(_version(version) for version in row.versions),
        )
        for row, tenant_id in rows
    ]


def _version(row: PublicationVersion) -> Version:
    return Version(
        row.aid,
        row.name,
        tuple(row.product_ids),
        tuple(
            Revision(
                number=revision.number,
                note=revision.note,
                upstream=revision.upstream,
                source_url=revision.source_url,
                kind=revision.kind,
                breaking=tuple(revision.breaking),
                is_current=revision.is_current,
                created_at=revision.created_at,
                updated_at=revision.updated_at,
            )
            for revision in row.revisions
        ),
        tuple(
            Release(
                release.name,
                release.revision,
                release.notes,
                release.created_at,
                release.updated_at,
            )
            for release in row.releases
        ),
    )


def _store_versions(
    session: Session, publication: Publication, versions: Sequence[Version]
) -> None:
    known = {row.aid: row for row in publication.versions}
    for version in versions:
        row = known.get(version.aid)
        if row is None:
            row = PublicationVersion(aid=version.aid, name=version.name)
            publication.versions.append(row)
        row.product_ids = list(version.products)
        _store_revisions(session, row, version.revisions)
        _store_releases(row, version.releases)


def _store_revisions(
    session: Session, row: PublicationVersion, revisions: Sequence[Revision]
) -> None:
    known = {revision.number: revision for revision in row.revisions}
    online = next(revision.number for revision in revisions if revision.is_current)
    for stored in known.values():
        if stored.is_current != (stored.number == online):
            stored.is_current = False
            stored.updated_at = clock.now()
    session.flush()  # the index allows one revision online
    for revision in revisions:
        if revision.number not in known:
            row.revisions.append(_revision_row(revision))
        elif revision.is_current:
            known[revision.number].is_current = True


def _revision_row(revision: Revision) -> PublicationRevision:
    return PublicationRevision(
        number=revision.number,
        note=revision.note,
        upstream=revision.upstream,
        source_url=revision.source_url,
        kind=revision.kind,
        breaking=list(revision.breaking),
        document=revision.packed,
        is_current=revision.is_current,
    )


def _store_releases(row: PublicationVersion, releases: Sequence[Release]) -> None:
    known = {release.name: release for release in row.releases}
    names = {release.name for release in releases}
    row.releases = [release for release in row.releases if release.name in names]
    for release in releases:
        found = known.get(release.name)
        if found is None:
            row.releases.append(
                PublicationRelease(
                    name=release.name, revision=release.revision, notes=release.notes
                )
            )
        elif found.notes != release.notes:
            found.notes = release.notes
            found.updated_at = clock.now()
