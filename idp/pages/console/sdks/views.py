"""SDKs and packages: the list of APIs, and a page for each with packages, targets and jobs."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func
from werkzeug.wrappers import Response

from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.directory.users import service as users
from idp.pages.console import layout, lists, refusals, screens
from idp.pages.console.gate import go
from idp.pages.console.jobs.views import STATES
from idp.pages.console.lists import Sort
from idp.pages.console.sdks import generating, targets
from idp.pages.console.sdks.forms import PackageForm
from idp.pages.console.sdks.pages import acting, crumbs, get_api, title
from idp.pages.console.sdks.pages import pages as pages
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import NotFound, Problem
from idp.platform.web.views import database
from idp.publishing.codegen import jobs, options
from idp.publishing.codegen import service as codegen
from idp.publishing.codegen.models import NpmOptions, SdkJob
from idp.publishing.packages import service as packages

PARTS = (generating, targets)
"""Modules that add pages to this screen."""
SORTS = {"name": Sort(_("API resource"), func.lower(ApiResource.name, type_=String))}
JOB = "/<int:row_id>/jobs/<int:job_id>"


@pages.get()
def index(workspace: Workspace) -> Response:
    """List APIs with what is made of them."""
    listing = lists.read(SORTS)
    query = resources.select_apis(workspace.actor)
    if listing.text:
        query = query.where(lists.matches(listing.text, ApiResource.name, ApiResource.display_name))
    session = database()
    page = lists.fetch(session, query, listing, ApiResource.id)
    ids = [row.id for row in page.rows]
    may_see_targets = workspace.may(Scope.CODEGEN_NPMOPTIONS)
    return layout.page(
        workspace,
        "sdks/index.html",
        screen=screens.SDKS,
        page=page,
        packages=packages.count_of(session, ids),
        targets=options.targets_of(session, ids) if may_see_targets else {},
        jobs=jobs.newest_of(session, acting(workspace), ids),
        states=STATES,
        target_name=target_name,
    )


@pages.get("/<int:row_id>")
def show(workspace: Workspace, row_id: int) -> Response:
    """Show the packages, targets and jobs of an API."""
    return _show(workspace, get_api(workspace, row_id))


@pages.get("/<int:row_id>/packages/new", permission=Scope.APIRESOURCE_POSTPACKAGES)
def new_package(workspace: Workspace, row_id: int) -> Response:
    """Ask for a package of the market."""
    return _show_package(workspace, get_api(workspace, row_id), PackageForm())


@pages.post("/<int:row_id>/packages/new", permission=Scope.APIRESOURCE_POSTPACKAGES)
def add_package(workspace: Workspace, row_id: int) -> Response:
    """Add a package to the market."""
    api, form = get_api(workspace, row_id), PackageForm()
    if not form.validate():
        return _show_package(workspace, api, form, 400)
    try:
        packages.add(database(), workspace.actor, row_id, form.content())
    except Problem as problem:
        database().rollback()
        refusals.refuse(form, problem)
        return _show_package(workspace, get_api(workspace, row_id), form, problem.status)
    database().commit()
    return go(workspace, "sdks.show", row_id=row_id)


@pages.post("/<int:row_id>/packages/remove", permission=Scope.APIRESOURCE_DELETEPACKAGE)
def remove_package(workspace: Workspace, row_id: int) -> Response:
    """Remove a package from the market; registries keep what was published."""
    get_api(workspace, row_id)
    name = PackageForm().name.data or ""
    packages.remove(database(), workspace.actor, row_id, name)
    database().commit()
    return go(workspace, "sdks.show", row_id=row_id)


@pages.get(JOB)
def show_job(workspace: Workspace, row_id: int, job_id: int) -> Response:
    """Show a job with the end of its log."""
    api, job = get_api(workspace, row_id), _get_job(workspace, row_id, job_id)
    people = set() if job.user_id is None else {job.user_id}
    act = {"failed": "sdks.retry", "waiting": "sdks.cancel"}.get(job.state)
    size = jobs.sizes(database(), [job]).get(job.id)
    return layout.page(
        workspace,
        "jobs/show.html",
        screen=screens.SDKS,
        crumbs=crumbs(workspace, api, f"{job.generator} {job.id}"),
        job=job,
        states=STATES,
        names=users.names_of(database(), people),
        may_write=workspace.may(Scope.CODEGEN_GEN),
        write=Scope.CODEGEN_GEN,
        act_url=act and workspace.url(act, row_id=row_id, job_id=job_id),
        archive_url=size and workspace.url("sdks.download", row_id=row_id, job_id=job_id),
    )


@pages.get(f"{JOB}/archive")
def download(workspace: Workspace, row_id: int, job_id: int) -> Response:
    """Return what a job made, as a zip."""
    _get_job(workspace, row_id, job_id)
    content = jobs.archive(database(), acting(workspace), job_id)
    headers = {
        "Content-Disposition": f'attachment; filename="sdk-{job_id}.zip"',
        "Cache-Control": "no-store",
    }
    return Response(content, content_type="application/zip", headers=headers)


@pages.post(f"{JOB}/retry", permission=Scope.CODEGEN_GEN)
def retry(workspace: Workspace, row_id: int, job_id: int) -> Response:
    """Retry a failed job from the step that failed."""
    _get_job(workspace, row_id, job_id)
    may_release = workspace.may(Scope.CODEGEN_RELEASESDK)
    codegen.retry(database(), acting(workspace), job_id, may_release=may_release)
    database().commit()
    return go(workspace, "sdks.show_job", row_id=row_id, job_id=job_id)


@pages.post(f"{JOB}/cancel", permission=Scope.CODEGEN_GEN)
def cancel(workspace: Workspace, row_id: int, job_id: int) -> Response:
    """Cancel a job that still waits."""
    _get_job(workspace, row_id, job_id)
    jobs.cancel(database(), acting(workspace), job_id)
    database().commit()
    return go(workspace, "sdks.show_job", row_id=row_id, job_id=job_id)


def target_name(row: Any) -> str:
    """Return where a target publishes to, without its token."""
    if isinstance(row, NpmOptions):
        return f"npm {row.name}"
    return f"git {row.owner}/{row.repo}" if row.owner else "git"


def _get_job(workspace: Workspace, row_id: int, job_id: int) -> SdkJob:
    """Return a job of an API in reach."""
    get_api(workspace, row_id)
    job = jobs.get(database(), acting(workspace), job_id)
    if job.api_resource_id != row_id:
        raise NotFound
    return job


def _show(workspace: Workspace, api: ApiResource) -> Response:
    session = database()
    may_see = workspace.may(Scope.APIRESOURCE_PACKAGES)
    found = jobs.latest(session, acting(workspace), api.id)
    return layout.page(
        workspace,
        "sdks/show.html",
        screen=screens.SDKS,
        crumbs=[layout.Crumb(title(api))],
        api=api,
        packages=packages.listing(session, api.id) if may_see else (),
        targets=targets.lines(workspace, api.id),
        jobs=found,
        states=STATES,
        may={
            "see_packages": may_see,
            "add_package": workspace.may(Scope.APIRESOURCE_POSTPACKAGES),
            "remove_package": workspace.may(Scope.APIRESOURCE_DELETEPACKAGE),
            "generate": workspace.may(Scope.CODEGEN_GEN),
            "release": workspace.may(Scope.CODEGEN_RELEASESDK),
        },
    )


def _show_package(
    workspace: Workspace, api: ApiResource, form: PackageForm, status: int = 200
) -> Response:
    return layout.page(
        workspace,
        "sdks/package.html",
        screen=screens.SDKS,
        crumbs=crumbs(workspace, api, gettext("Add a package")),
        status=status,
        api=api,
        form=form,
    )
