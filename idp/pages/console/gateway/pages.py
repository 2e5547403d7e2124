"""The addresses of the screen, and what all of its pages have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _

from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.pages import language, messages
from idp.pages.console import refusals, screens
from idp.pages.console.gate import Pages
from idp.pages.console.workspaces import Workspace
from idp.pages.form import Form
from idp.platform.errors import NotFound, Problem
from idp.platform.web.views import database
from idp.publishing.gateway.reasons import NotPublished, Reason, in_words

READ, WRITE = Scope.ADMIN_GATEWAY_READ, Scope.ADMIN_GATEWAY_WRITE
LISTS = {
    "index": _("Publications"),
    "list_products": _("Products"),
    "list_upstreams": _("Upstreams"),
    "show_differences": _("Differences"),
}
"""Pages that the screen begins with; those after the first belong to the platform."""

pages = Pages(screens.GATEWAY)


@dataclass(frozen=True, slots=True)
class Tab:
    """A page that the screen begins with."""

    title: Any
    href: str
    is_current: bool


def tabs(workspace: Workspace, current: str) -> Sequence[Tab]:
    """List the pages that a person may begin with."""
    may_operate = workspace.tenant is None and workspace.may(READ)
    names = LISTS if may_operate else {"index": LISTS["index"]}
    return [
        Tab(title, workspace.url(f"gateway.{name}"), name == current)
        for name, title in names.items()
    ]


def get_api(workspace: Workspace, api_id: int) -> ApiResource:
    """Return a microservice in reach."""
    return resources.get_api(database(), workspace.actor, api_id)


def reason(problem: Problem) -> str:
    """Return why something was refused, in the visitor's language."""
    if isinstance(problem, NotPublished):
        return in_words(problem, language.current().code)
    return messages.reasons(problem)[0]


def refuse(form: Form, problem: Problem) -> None:
    """Show a refusal in a form, beside its field where there is one."""
    if not isinstance(problem, NotPublished):
        refusals.refuse(form, problem)
    elif problem.reason is Reason.MISSING and problem.what == "suffix":
        form.refuse(reason(problem), "suffix")
    else:
        form.refuse(reason(problem))


def raise_missing(problem: Problem) -> None:
    """Raise a refusal that is about something that does not exist."""
    if isinstance(problem, NotFound):
        raise problem
    if isinstance(problem, NotPublished) and problem.reason is Reason.NO_SUCH_API:
        raise NotFound
