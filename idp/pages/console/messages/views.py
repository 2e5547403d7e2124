"""Messages and jobs of the outbox that are not done: why, and another try."""

from __future__ import annotations

from flask import request
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.pages.console import layout, lists, screens
from idp.pages.console.gate import Pages, go
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.pages.language import current as current_language
from idp.platform.integers import INT64_MAX
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.notify import service as notify
from idp.platform.web.views import database

JOBS = {
    "notify.mail": _("Mail"),
    "notify.sms": _("Text message"),
    "password_reset": _("Link to a new password"),
    "api-published": _("Version published"),
    "api-published-mails": _("Mails to subscribers"),
    "api-published-docs": _("Documentation to a repository"),
    "api-published-labels": _("Labels of a repository"),
    "gateway-change": _("Gateway change"),
    "gateway-repair": _("Gateway repair"),
    "sdk": _("SDK"),
    "sdk-target-test": _("Test of a publish target"),
    "file-erase": _("Removal of a file"),
}
"""What jobs are called; others have the name that the log has."""
LANES = {"notify": _("Messages to people"), "gateway": _("Gateway"), "build": _("SDKs")}
SORTS = {
    "created": Sort(_("Created"), OutboxMessage.created_at),
    "due": Sort(_("Next attempt"), OutboxMessage.due_at),
    "attempts": Sort(_("Attempts"), OutboxMessage.attempts),
}
FILTERS = {
    "state": Filter(_("State"), {"waiting": _("Waiting"), "failed": _("Failed")}),
    "lane": Filter(_("Kind"), LANES),
}
pages = Pages(screens.MESSAGES)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List messages that wait or failed, the oldest first."""
    listing = lists.read(SORTS, FILTERS)
    query = jobs.open_query(listing.chosen.get("state"), listing.chosen.get("lane"))
    if listing.text:
        query = query.where(
            lists.matches(listing.text, OutboxMessage.job, OutboxMessage.last_error)
        )
    waiting, failed = jobs.count_open(database())
    return layout.page(
        workspace,
        "messages/index.html",
        screen=screens.MESSAGES,
        page=lists.fetch(database(), query, listing, OutboxMessage.id),
        names=JOBS,
        lanes=LANES,
        waiting=waiting,
        failed=failed,
        may_write=workspace.may(Scope.ADMIN_MESSAGES_WRITE),
        write=Scope.ADMIN_MESSAGES_WRITE,
        email=workspace.visitor.user.email,
        is_sent="sent" in request.args,
    )


@pages.post("/<int:row_id>/retry", permission=Scope.ADMIN_MESSAGES_WRITE)
def retry(workspace: Workspace, row_id: int) -> Response:
    """Retry a failed message; one that waits again by now stays as it is."""
    jobs.get_open(database(), min(row_id, INT64_MAX))
    jobs.retry_failed(database(), [row_id])
    database().commit()
    return go(workspace, "messages.index")


@pages.post("/<int:row_id>/drop", permission=Scope.ADMIN_MESSAGES_WRITE)
def drop(workspace: Workspace, row_id: int) -> Response:
    """Erase a message to people that is not sent yet."""
    jobs.drop(database(), min(row_id, INT64_MAX))
    database().commit()
    return go(workspace, "messages.index")


@pages.post("/retry", permission=Scope.ADMIN_MESSAGES_WRITE)
def retry_all(workspace: Workspace) -> Response:
    """Retry everything that failed."""
    jobs.retry_failed(database())
    database().commit()
    return go(workspace, "messages.index")


@pages.post("/test", permission=Scope.ADMIN_MESSAGES_WRITE)
def send_test(workspace: Workspace) -> Response:
    """Send a mail to the address of the person who asks for it, and to nobody else."""
    person = workspace.visitor.user
    notify.send_test(database(), person.id, person.email, workspace.issuer, current_language().code)
    database().commit()
    return go(workspace, "messages.index", sent="")
