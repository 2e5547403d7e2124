"""What stands around every screen: navigation, tenant switch, crumbs, search, user menu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import make_response, render_template
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.pages.console import colours, gate, repeats, times, workspaces
from idp.pages.console.screens import Group, Screen
from idp.pages.console.workspaces import Workspace
from idp.platform.web.views import database


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation."""

    title: Any
    icon: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step of the way to a page; the last one, and what has no page, has no address."""

    title: Any
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A workspace in the tenant switch; without a name, the platform."""

    name: str | None
    detail: Any
    """What it holds, or as what the visitor manages it."""
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Switch:
    """The workspaces that the visitor may go to."""

    choices: Sequence[Choice]
    has_more: bool
    """Whether there is a page with all of them."""


def page(
    workspace: Workspace,
    template: str,
    *,
    screen: Screen | None = None,
    crumbs: Sequence[Crumb] = (),
    status: int = 200,
    **context: Any,
) -> Response:
    """Render a page of the console; `crumbs` are the steps below the screen."""
    text = render_template(
        f"pages/console/{template}",
        workspace=workspace,
        screen=screen,
        navigation=_navigation(workspace, screen),
        switch=_switch(workspace),
        crumbs=_crumbs(workspace, screen, crumbs),
        colours=colours.CHOICES,
        colour=colours.current(),
        here=gate.here(),
        form_id=repeats.new_id,
        ago=times.ago,
        exact=times.exact,
        **context,
    )
    return make_response(text, status)


def _navigation(workspace: Workspace, current: Screen | None) -> dict[Group, list[Entry]]:
    groups: dict[Group, list[Entry]] = {}
    for screen in workspace.screens():
        entry = Entry(
            screen.title,
            screen.icon,
            workspace.url(f"{screen.name}.index"),
            is_current=screen == current,
        )
        groups.setdefault(screen.group, []).append(entry)
    return {group: groups[group] for group in Group if group in groups}


def _crumbs(workspace: Workspace, screen: Screen | None, below: Sequence[Crumb]) -> list[Crumb]:
    crumbs = [Crumb(workspace.name, workspace.url("home.open_workspace"))]
    if screen is not None:
        crumbs.append(Crumb(screen.title, workspace.url(f"{screen.name}.index")))
    return [*crumbs, *below]


def _switch(workspace: Workspace) -> Switch:
    session, issuer, user = database(), workspace.issuer, workspace.visitor.user
    own, may_be_more = workspaces.memberships(session, issuer, user.id)
    shown = own[: workspaces.MOST_LISTED]
    if workspace.tenant is not None and workspace.tenant not in shown:
        shown = [workspace.tenant, *shown]
    choices = [
        Choice(
            tenant.name,
            _("as a member") if tenant in own else _("from the platform"),
            _address(tenant.id),
            is_current=tenant == workspace.tenant,
        )
        for tenant in shown
    ]
    if workspaces.manages_platform(session, issuer, user.id):
        detail = _("keys, settings, all organisations")
        is_current = workspace.tenant is None
        choices.insert(0, Choice(None, detail, _address(None), is_current=is_current))
    has_more = may_be_more or len(own) > len(shown)
    return Switch(choices, has_more or workspaces.acts_everywhere(session, issuer, user.id))


def _address(tenant_id: int | None) -> str:
    return "/console/platform" if tenant_id is None else f"/console/t/{tenant_id}"
