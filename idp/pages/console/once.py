"""Values that the console shows once, in the session in which they were made."""

from __future__ import annotations

from idp.pages import once
from idp.pages.console.workspaces import Workspace


def keep(
    workspace: Workspace,
    target: str,
    value: str,
    *,
    field: str = once.FIELD,
    seconds: int = once.SECONDS,
) -> None:
    """Keep a new secret for the page that comes next in this browser, and for nobody else."""
    once.keep(_owner(workspace), target, value, field=field, seconds=seconds)


def take(workspace: Workspace, target: str, *, field: str = once.FIELD) -> str | None:
    """Return what was kept for a page of this thing, which is then gone; None: nothing."""
    return once.take(_owner(workspace), target, field=field)


def look(workspace: Workspace, target: str, *, field: str = once.FIELD) -> str | None:
    """Return what is kept for a page of this thing; None: nothing."""
    return once.look(_owner(workspace), target, field=field)


def _owner(workspace: Workspace) -> str:
    return f"session:{workspace.visitor.browser.id}"
