"""Jobs that make SDKs: create, read and retry them."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, true, update
from sqlalchemy.orm import Session, defer

from idp.directory.actor import Actor
from idp.directory.resources.models import ApiResource
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import Conflict, NotFound, TooManyRequests
from idp.platform.integers import INT64_MAX
from idp.platform.jobs import service as outbox
from idp.platform.translation import N_
from idp.publishing.codegen import options
from idp.publishing.codegen.models import JobState, SdkFile, SdkJob

JOB = "sdk"
LANE = "build"
MAX_OPEN = 20
"""Jobs of one caller that wait or run."""
MAX_ATTEMPTS = 5
KEPT_DAYS = 7
"""Jobs of no API and failed jobs are removed after this time."""
LISTED = 50
DESCRIPTION = "description"
ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Order:
    """An SDK to be generated."""

    generator: str
    document: Mapping[str, Any]
    source_url: str
    options: Mapping[str, str] = field(default_factory=dict)
    api: ApiResource | None = None
    language: str | None = None
    package: str | None = None
    version: str | None = None


def create(session: Session, actor: Actor, order: Order) -> SdkJob:
    """Create a job that generates an SDK in the worker."""
    _check_room(session, actor.client_id, actor.user_id)
    job = SdkJob(
        api_resource_id=None if order.api is None else order.api.id,
        user_id=actor.user_id,
        client_id=actor.client_id,
        generator=order.generator,
        options=dict(order.options),
        source_url=order.source_url,
        language=order.language,
        package=order.package,
        version=order.version,
    )
    session.add(job)
    session.flush()
    put_file(session, job.id, DESCRIPTION, zlib.compress(orjson.dumps(dict(order.document))))
    outbox.enqueue(session, JOB, {"job_id": job.id}, lane=LANE)
    audit.record(
        session,
        Tag.SDK_REQUESTED,
        tenant_id=None if order.api is None else order.api.tenant_id,
        target=f"sdk-job:{job.id}" if order.api is None else f"api:{order.api.name}",
        details={"job": job.id, "generator": job.generator, "version": job.version},
    )
    return job


def archive_path(job_id: int) -> str:
    """Return the path at which the archive of a job is downloaded."""
    return f"/sdk/jobs/{job_id}/archive"


def get(session: Session, actor: Actor, job_id: int) -> SdkJob:
    """Return a job that the actor may see."""
    job = None
    if 0 < job_id <= INT64_MAX:
        job = session.scalar(select(SdkJob).where(SdkJob.id == job_id, _visible(actor)))
    if job is None:
        raise NotFound
    return job


def latest(session: Session, actor: Actor, api_id: int | None) -> Sequence[SdkJob]:
    """List the newest jobs that the actor may see, of one API or of all."""
    query = select(SdkJob).where(_visible(actor)).order_by(SdkJob.id.desc()).limit(LISTED)
    if api_id is not None:
        query = query.where(SdkJob.api_resource_id == api_id)
    return session.scalars(query).all()


def list_page(
    session: Session,
    actor: Actor,
    *,
    state: str | None = None,
    before_id: int | None = None,
    limit: int = LISTED,
) -> Sequence[SdkJob]:
    """Return a page of the jobs that the actor may see, the newest first."""
    query = list_query(actor, state=state).order_by(SdkJob.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(SdkJob.id < before_id)
    return session.scalars(query).all()


def newest_of(session: Session, actor: Actor, api_ids: Collection[int]) -> dict[int, SdkJob]:
    """Return the newest job of each of several APIs that the actor may see."""
    newest = (
        select(func.max(SdkJob.id))
        .where(SdkJob.api_resource_id.in_(api_ids), _visible(actor))
        .group_by(SdkJob.api_resource_id)
    )
    query = select(SdkJob).where(SdkJob.id.in_(newest)).options(defer(SdkJob.log))
    return {job.api_resource_id or 0: job for job in session.scalars(query)}


def list_query(actor: Actor, *, state: str | None = None) -> Select[SdkJob]:
    """Return the query of the jobs that the actor may see, without their logs."""
    query = select(SdkJob).where(_visible(actor)).options(defer(SdkJob.log))
    return query if state is None else query.where(SdkJob.state == state)


def cancel(session: Session, actor: Actor, job_id: int) -> SdkJob:
    """Cancel a job that still waits; one that runs is left to the worker."""
    job = get(session, actor, job_id)
    moment = clock.now()
    given_up = (
        update(SdkJob)
        .where(SdkJob.id == job.id, SdkJob.state == JobState.WAITING)
        .values(
            state=JobState.FAILED,
            error="Cancelled.",
            finished_at=moment,
            expires_at=moment + timedelta(days=KEPT_DAYS),
        )
    )
    if not count_hits(session, given_up):
        raise Conflict(N_("Only a job that waits can be cancelled."))
    audit.record(session, Tag.SDK_CANCELLED, target=f"sdk-job:{job.id}")
    session.refresh(job)
    return job


def retry(session: Session, actor: Actor, job_id: int) -> SdkJob:
    """Retry a failed job from the step that failed, with the tokens stored now."""
    job = get(session, actor, job_id)
    # It counts among the open jobs of the caller who created it.
    _check_room(session, job.client_id, job.user_id)
    again = update(SdkJob).where(SdkJob.id == job.id, SdkJob.state == JobState.FAILED)
    values = {"state": JobState.WAITING, "attempts": 0, "expires_at": None, "finished_at": None}
    if not count_hits(session, again.values(**values)):
        raise Conflict(N_("Only a failed job can be retried."))
    outbox.enqueue(session, JOB, {"job_id": job.id}, lane=LANE)
    session.refresh(job)
    return job


def archive(session: Session, actor: Actor, job_id: int) -> bytes:
    """Return the archive that a job made."""
    job = get(session, actor, job_id)
    content = read_file(session, job.id, ARCHIVE)
    if content is None:
        raise NotFound
    return content


def begin(session: Session, job_id: int) -> SdkJob | None:
    """Start a job, again after the death of a worker; None: there is nothing to do."""
    begun = (
        update(SdkJob)
        .where(SdkJob.id == job_id, SdkJob.state.in_((JobState.WAITING, JobState.RUNNING)))
        .values(state=JobState.RUNNING, attempts=SdkJob.attempts + 1, started_at=clock.now())
    )
    if not count_hits(session, begun):
        return None
    return session.get(SdkJob, job_id, populate_existing=True)


def end(session: Session, job_id: int, state: JobState, error: str | None = None) -> None:
    """Store the outcome of an attempt; the outbox retries `waiting` ones."""
    job = session.get(SdkJob, job_id)
    if job is None:  # its API was deleted
        return
    job.state = state
    job.error = error and error[:500]
    if state in {JobState.DONE, JobState.FAILED}:
        job.finished_at = clock.now()
        if state is JobState.FAILED or job.api_resource_id is None:
            job.expires_at = clock.now() + timedelta(days=KEPT_DAYS)
        if state is JobState.DONE:
            remove_file(session, job.id, DESCRIPTION)
            _let_go_of_older(session, job)
        audit.record(
            session,
            Tag.SDK_BUILT if state is JobState.DONE else Tag.SDK_FAILED,
            user_id=job.user_id,
            client_id=job.client_id,
            tenant_id=session.scalar(
                select(ApiResource.tenant_id).where(ApiResource.id == job.api_resource_id)
            ),
            target=f"sdk-job:{job.id}",
            details={"generator": job.generator, "version": job.version, "reason": error},
        )
    session.flush()


def _let_go_of_older(session: Session, job: SdkJob) -> None:
    """Set the expiry of the SDKs that a newer one of the same kind replaces."""
    if job.api_resource_id is None:
        return
    session.execute(
        update(SdkJob)
        .where(
            SdkJob.api_resource_id == job.api_resource_id,
            SdkJob.generator == job.generator,
            SdkJob.package.is_not_distinct_from(job.package),
            SdkJob.state == JobState.DONE,
            SdkJob.id < job.id,
            SdkJob.expires_at.is_(None),
        )
        .values(expires_at=clock.now() + timedelta(days=KEPT_DAYS)),
        execution_options={"synchronize_session": False},
    )


def put_file(session: Session, job_id: int, kind: str, content: bytes) -> None:
    """Store a file of a job in place of an older one."""
    remove_file(session, job_id, kind)
    session.add(SdkFile(job_id=job_id, kind=kind, size=len(content), content=content))
    session.flush()


def read_file(session: Session, job_id: int, kind: str) -> bytes | None:
    """Return a file of a job."""
    return session.scalar(
        select(SdkFile.content).where(SdkFile.job_id == job_id, SdkFile.kind == kind)
    )


def remove_file(session: Session, job_id: int, kind: str) -> None:
    """Remove a file of a job, if there is one."""
    session.execute(delete(SdkFile).where(SdkFile.job_id == job_id, SdkFile.kind == kind))


def read_description(session: Session, job_id: int) -> dict[str, Any]:
    """Return the description that a job works on."""
    content = read_file(session, job_id, DESCRIPTION)
    if content is None:
        raise NotFound
    document: dict[str, Any] = orjson.loads(zlib.decompress(content))
    return document


def _own(client_id: str, user_id: int | None) -> ColumnElement[bool]:
    """Return in SQL which jobs a person, or a machine, created through a client."""
    is_own = SdkJob.user_id.is_(None) if user_id is None else SdkJob.user_id == user_id
    return and_(SdkJob.client_id == client_id, is_own)


def _visible(actor: Actor) -> ColumnElement[bool]:
    """Return in SQL which jobs the actor sees: of APIs in reach, and own ones of no API.

    With the permission for jobs at the platform, all of them.
    """
    if actor.permitted == "platform" and actor.reaches_all:
        return true()
    apis = select(ApiResource.id).where(options.in_reach(actor))
    own = _own(actor.client_id, actor.user_id)
    return or_(SdkJob.api_resource_id.in_(apis), and_(SdkJob.api_resource_id.is_(None), own))


def _check_room(session: Session, client_id: str, user_id: int | None) -> None:
    is_open = SdkJob.state.in_((JobState.WAITING, JobState.RUNNING))
    own = _own(client_id, user_id)
    waiting = session.scalar(select(func.count()).select_from(SdkJob).where(own, is_open))
    if (waiting or 0) >= MAX_OPEN:
        raise TooManyRequests(60, "Too many jobs are waiting or running; try again later.")


def sizes(session: Session, jobs: Sequence[SdkJob]) -> dict[int, int]:
    """Return the sizes of archives by job."""
    found = session.execute(
        select(SdkFile.job_id, SdkFile.size).where(
            SdkFile.kind == ARCHIVE, SdkFile.job_id.in_([job.id for job in jobs])
        )
    )
    return {row.job_id: row.size for row in found}
