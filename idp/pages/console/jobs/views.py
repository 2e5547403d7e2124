"""Jobs that make SDKs, of everybody: state, log, another try."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.directory.users import service as users
from idp.pages.console import layout, lists, screens
from idp.pages.console.gate import Pages, go
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.platform.web.views import database
from idp.publishing.codegen import jobs
from idp.publishing.codegen.models import JobState, SdkJob

STATES = {
    JobState.WAITING: (_("Waiting"), ""),
    JobState.RUNNING: (_("Running"), "st-info"),
    JobState.DONE: (_("Done"), "st-good"),
    JobState.FAILED: (_("Failed"), "st-bad"),
}
SORTS = {
    "created": Sort(_("Created"), SdkJob.created_at),
    "generator": Sort(_("Generator"), SdkJob.generator),
}
FILTERS = {
    "state": Filter(_("State"), {str(state): title for state, (title, _class) in STATES.items()})
}

pages = Pages(screens.JOBS)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List jobs, the newest first."""
    listing = lists.read(SORTS, FILTERS, usual="-created")
    query = jobs.list_query(workspace.confined_actor, state=listing.chosen.get("state"))
    if listing.text:
        query = query.where(
            lists.matches(listing.text, SdkJob.generator, SdkJob.package, SdkJob.client_id)
        )
    page = lists.fetch(database(), query, listing, SdkJob.id)
    people = {job.user_id for job in page.rows if job.user_id is not None}
    return layout.page(
        workspace,
        "jobs/index.html",
        screen=screens.JOBS,
        page=page,
        states=STATES,
        names=users.names_of(database(), people),
    )


@pages.get("/<int:row_id>")
def show(workspace: Workspace, row_id: int) -> Response:
    """Show a job with the end of its log."""
    job = jobs.get(database(), workspace.confined_actor, row_id)
    act = {"failed": "jobs.retry", "waiting": "jobs.cancel"}.get(job.state)
    people = set() if job.user_id is None else {job.user_id}
    return layout.page(
        workspace,
        "jobs/show.html",
        screen=screens.JOBS,
        crumbs=[layout.Crumb(f"{job.generator} {job.id}")],
        job=job,
        states=STATES,
        names=users.names_of(database(), people),
        may_write=workspace.may(Scope.ADMIN_JOBS_WRITE),
        write=Scope.ADMIN_JOBS_WRITE,
        act_url=act and workspace.url(act, row_id=row_id),
    )


@pages.post("/<int:row_id>/retry", permission=Scope.ADMIN_JOBS_WRITE)
def retry(workspace: Workspace, row_id: int) -> Response:
    """Retry a failed job from the step that failed."""
    jobs.retry(database(), workspace.confined_actor, row_id)
    database().commit()
    return go(workspace, "jobs.show", row_id=row_id)


@pages.post("/<int:row_id>/cancel", permission=Scope.ADMIN_JOBS_WRITE)
def cancel(workspace: Workspace, row_id: int) -> Response:
    """Cancel a job that still waits."""
    jobs.cancel(database(), workspace.confined_actor, row_id)
    database().commit()
    return go(workspace, "jobs.show", row_id=row_id)
