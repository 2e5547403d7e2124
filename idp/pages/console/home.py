"""What the console has besides its screens: the way in, search, choice of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from idp.oauth.visitor import Visitor
from idp.pages import return_path
from idp.pages.console import colours, layout, marks, workspaces
from idp.pages.console.gate import HOME, MOST_HITS, Hit, Pages, for_visitor, for_workspace, go
from idp.pages.console.screens import Screen
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import NotFound
from idp.platform.web.views import current_issuer, database

MOST_TENANTS = 50
LONGEST_SEARCH = 200

blueprint = Blueprint("home", __name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found on one screen."""

    screen: Screen
    hits: Sequence[Hit]
    is_screen: bool
    """Whether the screen's own name was found."""


@blueprint.get("")
@for_visitor
def open_console(visitor: Visitor) -> Response:
    """Go to the best workspace: the organisation of the sign-in, the platform, or another one."""
    session, issuer, user_id = database(), current_issuer(), visitor.user.id
    chosen = visitor.browser.tenant_id
    if chosen is not None and workspaces.find(session, issuer, visitor, chosen) is not None:
        return redirect(f"{HOME}/t/{chosen}", 303)
    if workspaces.manages_platform(session, issuer, user_id):
        return redirect(f"{HOME}/platform", 303)
    own, may_be_more = workspaces.memberships(session, issuer, user_id)
    if own:
        return redirect(f"{HOME}/t/{own[0].id}", 303)
    if may_be_more or workspaces.acts_everywhere(session, issuer, user_id):
        return redirect(f"{HOME}/organisations", 303)
    raise NotFound


@blueprint.get("/t/<int:tenant_id>")
@blueprint.get("/platform", defaults={"tenant_id": None})
@for_workspace
def open_workspace(workspace: Workspace) -> Response:
    """Go to the first screen that the person may see."""
    return go(workspace, f"{next(workspace.screens()).name}.index")


@blueprint.get("/organisations")
@for_visitor
def choose(visitor: Visitor) -> Response:
    """List the organisations that the person manages, for a search."""
    session, issuer, user_id = database(), current_issuer(), visitor.user.id
    text = request.args.get("q", "").strip()[:LONGEST_SEARCH]
    everywhere = workspaces.acts_everywhere(session, issuer, user_id)
    manages_platform = workspaces.manages_platform(session, issuer, user_id)
    found, is_cut = workspaces.memberships(session, issuer, user_id)
    if not (found or is_cut or everywhere or manages_platform):
        raise NotFound
    if everywhere:
        found = workspaces.search(session, text, limit=MOST_TENANTS + 1)
        is_cut = len(found) > MOST_TENANTS
    elif text:
        found, is_cut = workspaces.memberships(session, issuer, user_id, text)
    return make_response(
        render_template(
            "pages/console/organisations.html",
            text=text,
            tenants=found[:MOST_TENANTS],
            is_cut=is_cut,
            manages_platform=manages_platform,
            colour=colours.current(),
        )
    )


@blueprint.get("/colours/<choice>")
def choose_colours(choice: str) -> Response:
    """Remember light or dark, and go back to the page."""
    if choice not in colours.CHOICES:
        raise NotFound
    response = redirect(return_path.parse(request.args.get("return_to")) or HOME, 303)
    colours.remember(response, choice, secure=current_issuer().is_secure)
    return response


def search_view(pages: Sequence[Pages]) -> Callable[[Workspace], Response]:
    """Return the view that searches the screens which the person may see."""

    def search(workspace: Workspace) -> Response:
        text = request.args.get("q", "").strip()[:LONGEST_SEARCH]
        found = [*_found(workspace, pages, text)] if text else []
        return layout.page(workspace, "search.html", text=text, found=found, mark=marks.mark)

    return search


def _found(workspace: Workspace, pages: Sequence[Pages], text: str) -> Iterator[Found]:
    shown = set(workspace.screens())
    for each in pages:
        if each.screen not in shown:
            continue
        hits = each.find(workspace, text)[:MOST_HITS] if each.find is not None else ()
        is_screen = text.casefold() in str(each.screen.title).casefold()
        if hits or is_screen:
            yield Found(each.screen, hits, is_screen)
