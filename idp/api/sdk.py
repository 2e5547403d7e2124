"""Jobs that make SDKs: read, retried, and their archives downloaded."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from idp.api.actor import current_actor
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest
from idp.platform.permission_codes import covering
from idp.platform.web.principal import current_principal, require_scope
from idp.platform.web.views import current_issuer, database
from idp.platform.wire.shapes import Moment, Shape, int64, text
from idp.publishing.codegen import jobs
from idp.publishing.codegen import service as codegen
from idp.publishing.codegen.models import SdkJob

blueprint = Blueprint("sdk", __name__, url_prefix="/sdk")

_guarded = require_scope(Scope.CODEGEN_RELEASESDK, also=(Scope.CODEGEN_GEN,))


class JobShape(Shape):
    """A job and its progress."""

    id = int64()
    api_resource_id = int64(data_key="apiId")
    generator = text()
    language = text()
    package = text()
    version = text()
    swagger_url = text(attribute="source_url")
    state = text()
    attempts = int64()
    error = text()
    log = text()
    link = text()
    created_at = Moment()
    started_at = Moment()
    built_at = Moment()
    published_at = Moment()
    pushed_at = Moment()
    finished_at = Moment()
    expires_at = Moment()


@blueprint.get("/jobs")
@_guarded
def list_() -> Response:
    """List the newest jobs that the caller may see, of one microservice or of all."""
    unknown = sorted(request.args.keys() - {"apiId"})
    if unknown:
        raise BadRequest.at(unknown[0][:100], "Unknown parameter. Known parameters: apiId.")
    api_id = request.args.get("apiId", "")
    if api_id and not (api_id.isascii() and api_id.isdigit() and len(api_id) < 19):  # noqa: PLR2004 - digits that 64 bits hold
        raise BadRequest.at("apiId", "Must be a number.")
    found = jobs.latest(database(), current_actor(), int(api_id) if api_id else None)
    sizes = jobs.sizes(database(), found)
    return jsonify(jobs=[described(job, sizes.get(job.id)) for job in found])


@blueprint.get("/jobs/<int:job_id>")
@_guarded
def detail(job_id: int) -> Response:
    """Read a job."""
    job = jobs.get(database(), current_actor(), job_id)
    return jsonify(described(job, jobs.sizes(database(), [job]).get(job.id)))


@blueprint.post("/jobs/<int:job_id>/retry")
@_guarded
def retry(job_id: int) -> Response:
    """Retry a failed job; a release needs the scope of releases."""
    scopes = current_principal().scopes
    may_release = not covering(Scope.CODEGEN_RELEASESDK).isdisjoint(scopes)
    job = codegen.retry(database(), current_actor(), job_id, may_release=may_release)
    size = jobs.sizes(database(), [job]).get(job.id)
    database().commit()
    return jsonify(described(job, size))


@blueprint.get("/jobs/<int:job_id>/archive")
@_guarded
def archive(job_id: int) -> Response:
    """Download the archive of a job."""
    content = jobs.archive(database(), current_actor(), job_id)
    return Response(
        content,
        content_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="sdk-{job_id}.zip"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@blueprint.after_request
def keep_private(response: Response) -> Response:
    """Forbid caches: the response is for the caller alone."""
    response.headers["Cache-Control"] = "no-store"
    return response


def described(job: SdkJob, size: int | None) -> dict[str, Any]:
    """Describe a job, with the address of its archive as soon as there is one."""
    members: dict[str, Any] = JobShape().dump(job)
    path = jobs.archive_path(job.id)
    archive = None if size is None else {"url": f"{current_issuer().url}{path}", "size": size}
    return members | {"archive": archive}
