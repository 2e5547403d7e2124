"""Jobs that make SDKs, of everybody: listed, tried again, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import validate

from idp.api.actor import acting, platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, page, row_id
from idp.directory.actor import Actor
from idp.directory.scopes import Scope
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int32, int64, text
from idp.publishing.codegen import jobs
from idp.publishing.codegen.models import JobState, SdkJob


class ListedJobShape(AdminShape):
    """What a list shows of a job."""

    schema_name = "ListedJob"

    id = int64()
    api = int64(attribute="api_resource_id", allow_none=True)
    user = int64(attribute="user_id", allow_none=True)
    client = text(attribute="client_id")
    generator = text()
    language = text(allow_none=True)
    package = text(allow_none=True)
    version = text(allow_none=True)
    state = text()
    attempts = int32()
    error = text(allow_none=True)
    link = text(allow_none=True)
    created_at = Moment()
    started_at = Moment(allow_none=True)
    finished_at = Moment(allow_none=True)


class JobShape(ListedJobShape):
    """A job with the end of its log."""

    schema_name = "Job"

    log = text()


class ListQuery(Paging):
    """What the list is narrowed by."""

    state = text(load_default=None, checks=[validate.OneOf([str(state) for state in JobState])])
    after = row_id(load_default=None)


JOB = JobShape()


@admin.operation(
    "jobs-list",
    "GET",
    "/jobs",
    scope=Scope.ADMIN_JOBS_READ,
    tenant=platform,
    query=ListQuery(),
    result=ListedJobShape(),
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List jobs, the newest first."""
    found = jobs.list_page(
        database(),
        _everywhere(Scope.ADMIN_JOBS_READ),
        state=query["state"],
        before_id=query["after"],
        limit=query["limit"] + 1,
    )
    return page(found, query["limit"], lambda job: job.id)


@admin.operation(
    "jobs-get",
    "GET",
    "/jobs/<int:id>",
    scope=Scope.ADMIN_JOBS_READ,
    tenant=platform,
    result=JOB,
)
def detail(id: int) -> SdkJob:
    """Read a job with the end of its log."""
    return jobs.get(database(), _everywhere(Scope.ADMIN_JOBS_READ), id)


@admin.operation(
    "jobs-retry",
    "POST",
    "/jobs/<int:id>/retry",
    scope=Scope.ADMIN_JOBS_WRITE,
    tenant=platform,
    result=JOB,
)
def retry(id: int) -> SdkJob:
    """Try a failed job again from where it stands."""
    job = jobs.retry(database(), _everywhere(Scope.ADMIN_JOBS_WRITE), id)
    database().commit()
    return job


@admin.operation(
    "jobs-cancel",
    "POST",
    "/jobs/<int:id>/cancel",
    scope=Scope.ADMIN_JOBS_WRITE,
    tenant=platform,
    result=JOB,
)
def cancel(id: int) -> SdkJob:
    """Cancel a job that still waits."""
    job = jobs.cancel(database(), _everywhere(Scope.ADMIN_JOBS_WRITE), id)
    database().commit()
    return job


def _everywhere(permission: str) -> Actor:
    return acting(permission, PLATFORM_TENANT_ID)
