"""Deleting what has a name: what ends is shown first, and the name is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Response

from idp.pages import messages
from idp.pages.console import layout
from idp.pages.console.gate import go
from idp.pages.console.layout import Crumb
from idp.pages.console.screens import Screen
from idp.pages.console.typed_name import TypedNameForm
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import Problem
from idp.platform.web.views import database


@dataclass(frozen=True, slots=True)
class Deletion:
    """What the page says about a thing that is to be deleted."""

    title: str
    name: str
    """What is typed."""
    crumbs: Sequence[Crumb]
    counts: Sequence[tuple[int, str]]
    """What ends with it, or is in the way."""
    keep: str
    """Where those go who keep it."""
    warning: Any = None
    advice: Any = None


def ask(
    workspace: Workspace,
    screen: Screen,
    deletion: Deletion,
    form: TypedNameForm | None = None,
    status: int = 200,
) -> Response:
    """Show what ends with a thing."""
    return layout.page(
        workspace,
        "delete.html",
        screen=screen,
        crumbs=deletion.crumbs,
        status=status,
        deletion=deletion,
        form=form or TypedNameForm(),
    )


def carry_out(
    workspace: Workspace,
    screen: Screen,
    describe: Callable[[], Deletion],
    delete: Callable[[], object],
    endpoint: str,
) -> Response:
    """Delete a thing whose name was typed, and go to the list; a refusal is shown on the page."""
    found, form = describe(), TypedNameForm()
    if not form.names(found.name):
        return ask(workspace, screen, found, form, 400)
    try:
        delete()
    except Problem as problem:
        database().rollback()
        form.refuse(messages.reasons(problem)[0])
        return ask(workspace, screen, describe(), form, problem.status)
    database().commit()
    return go(workspace, endpoint)
