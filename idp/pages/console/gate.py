"""The gate of the console: no page without a session, a workspace and a permission."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from idp.account import second_factors
from idp.directory.scopes import Scope
from idp.oauth.visitor import Visitor
from idp.pages import error_pages, return_path
from idp.pages.console import workspaces
from idp.pages.console.screens import Screen, Where
from idp.pages.console.workspaces import Workspace
from idp.pages.visitor import ask_to_sign_in, current_visitor
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import Forbidden, NotFound, TooManyRequests
from idp.platform.integers import INT64_MAX
from idp.platform.runtime import context_of
from idp.platform.translation import N_
from idp.platform.web.views import current_issuer, database

RECENT = timedelta(minutes=5)
"""How long after a sign-in sensitive acts need no other one."""
HOME = "/console"
TRACES_PER_MINUTE = 10
MOST_HITS = 5
"""Things of one screen that a search shows."""

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a search found."""

    title: str
    detail: str
    href: str


Finder = Callable[[Workspace, str], Sequence[Hit]]
"""Finds things of a screen by a text that a visitor typed."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What an address of a screen asks for."""

    permission: Scope
    is_recent: bool
    """Whether the sign-in must be younger than five minutes."""


class Pages:
    """The addresses of a screen. Each is declared with its gate: there is no other way to one."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.blueprint = Blueprint(screen.name, __name__)
        self.gates: dict[str, Gate] = {}
        """By the names of the endpoints, without the blueprint."""
        self.find: Finder | None = None

    def get(
        self,
        path: str = "",
        *,
        permission: Scope | None = None,
        recent: bool = False,
        where: Where | None = None,
    ) -> Callable[[View], View]:
        """Declare a page, by default for those who may see the screen, and where they see it."""
        gate = Gate(permission or self.screen.permission, recent)
        return self._declare("GET", path, gate, where or self.screen.where)

    def post(
        self,
        path: str = "",
        *,
        permission: Scope,
        recent: bool = False,
        where: Where | None = None,
    ) -> Callable[[View], View]:
        """Declare what a form is sent to."""
        return self._declare("POST", path, Gate(permission, recent), where or self.screen.where)

    def search(self, finder: Finder) -> Finder:
        """Register a function that finds things of this screen for the search of the console."""
        self.find = finder
        return finder

    def _declare(self, method: str, path: str, gate: Gate, where: Where) -> Callable[[View], View]:
        def declare(view: View) -> View:
            name = view.__name__
            self.gates[name] = gate
            guarded = for_workspace(view, gate)
            address = f"/{self.screen.name}{path}"
            if where is not Where.PLATFORM:
                rule = f"/t/<int:tenant_id>{address}"
                self.blueprint.add_url_rule(rule, name, guarded, methods=[method])
            if where is not Where.TENANTS:
                self.blueprint.add_url_rule(
                    f"/platform{address}",
                    name,
                    guarded,
                    methods=[method],
                    defaults={"tenant_id": None},
                )
            return view

        return declare


def for_visitor(view: Callable[..., Response]) -> Callable[..., Response]:
    """Hand a view who is signed in; ask for a sign-in where nobody is."""

    @wraps(view)
    def guarded(**path: Any) -> Response:
        visitor = current_visitor()
        if visitor is None:
            return ask_to_sign_in(return_to=here())
        _sign_trail(visitor)
        return view(visitor, **path)

    return guarded


def for_workspace(view: View, gate: Gate | None = None) -> View:
    """Hand a view the workspace of its address, to those who have what its gate asks for.

    A workspace that a person does not manage does not exist for them.
    """

    @wraps(view)
    @for_visitor
    def guarded(visitor: Visitor, tenant_id: int | None, **path: Any) -> Response:
        if tenant_id is not None:
            tenant_id = min(tenant_id, INT64_MAX)
        workspace = workspaces.find(database(), current_issuer(), visitor, tenant_id)
        if workspace is None:
            raise NotFound
        if gate is not None:
            check(workspace, gate.permission)
            if gate.is_recent and not is_recent(visitor):
                return redirect_to_sign_in()
        return view(workspace, **path)

    return guarded


def check(workspace: Workspace, permission: Scope) -> None:
    """Refuse a person who lacks a permission in a workspace, with its name."""
    if not workspace.may(permission):
        _leave_trace(workspace, permission)
        raise Forbidden(N_("You lack a permission here") + f": {permission}")


def is_recent(visitor: Visitor) -> bool:
    """Return whether the sign-in is young enough for a sensitive act.

    People who have a second factor must have proven it too.
    """
    is_young = visitor.browser.auth_time > clock.now() - RECENT
    return is_young and not second_factors.must_step_up(database(), current_issuer(), visitor)


def redirect_to_sign_in() -> Response:
    """Ask the person who is signed in to sign in again, and come back to the page."""
    return ask_to_sign_in(prompt="login", return_to=here())


def go(workspace: Workspace, endpoint: str, **values: Any) -> Response:
    """Answer a form that was accepted: go to a page of the workspace."""
    return redirect(workspace.url(endpoint, **values), 303)


def _leave_trace(workspace: Workspace, permission: Scope) -> None:
    """Record that a person lacked a right: ten rows a minute for each."""
    session, user_id = database(), workspace.visitor.user.id
    try:
        runtime.of(session).throttle.hit("console-refused", str(user_id), TRACES_PER_MINUTE, 60)
    except TooManyRequests:
        return
    audit.record(
        session,
        Tag.OPERATION_REFUSED,
        tenant_id=workspace.actor.tenant_id,
        target=f"page:{request.endpoint}",
        details={"reason": f"lacks {permission}"},
    )
    session.commit()


def here() -> str:
    """Return the page under way, or the one whose form was sent."""
    if request.method != "GET":
        return error_pages.page_of_form()
    return return_path.parse(request.full_path.rstrip("?")) or (
        return_path.parse(request.path) or HOME
    )


def _sign_trail(visitor: Visitor) -> None:
    """Name the actor in audit events of this request."""
    session = database()
    session.info["context"] = replace(context_of(session), user_id=visitor.user.id)
