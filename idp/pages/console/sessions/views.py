"""Live sessions and grants: found by person, client and tenant, ended one by one or all."""

from __future__ import annotations

from typing import Any

from flask import redirect, request
from flask_babel import gettext, ngettext
from sqlalchemy import Select
from werkzeug.wrappers import Response

from idp.account import live_access
from idp.directory.actor import Actor
from idp.oauth.models import Grant
from idp.pages.console import counts, layout, lists, screens, steps, workspaces
from idp.pages.console.gate import Pages, go
from idp.pages.console.sessions import filters, lines
from idp.pages.console.sessions.filters import WRITE
from idp.pages.console.users import lines as user_lines
from idp.pages.console.workspaces import Workspace
from idp.platform.sessions.models import BrowserSession
from idp.platform.web.views import database

pages = Pages(screens.SESSIONS)
READ = screens.SESSIONS.permission


@pages.get()
def index(workspace: Workspace) -> Response:
    """List live sessions."""
    listing, query = filters.sessions(workspace, READ)
    page = lists.fetch(database(), query, listing, BrowserSession.id)
    shown = lines.of_sessions(database(), workspace, page.rows)
    return _page(workspace, "index", page, shown, "sessions.confirm")


@pages.get("/grants")
def grants(workspace: Workspace) -> Response:
    """List live grants."""
    listing, query = filters.grants(workspace, READ)
    page = lists.fetch(database(), query, listing, Grant.id)
    shown = lines.of_grants(database(), page.rows)
    return _page(workspace, "grants", page, shown, "sessions.confirm_grants")


@pages.post("/<int:row_id>/end", permission=WRITE)
def end(workspace: Workspace, row_id: int) -> Response:
    """End a session."""
    actor = workspaces.acting(database(), workspace, WRITE)
    live_access.end_session(database(), actor, row_id)
    database().commit()
    return go(workspace, "sessions.index", ended=1)


@pages.post("/grants/<int:row_id>/end", permission=WRITE)
def end_grant(workspace: Workspace, row_id: int) -> Response:
    """End a grant."""
    actor = workspaces.acting(database(), workspace, WRITE)
    live_access.end_grant(database(), live_access.grants_query(actor), row_id)
    database().commit()
    return go(workspace, "sessions.grants", ended=1)


@pages.get("/end", permission=WRITE)
def confirm(workspace: Workspace) -> Response:
    """Show how many sessions the filters leave, before all of them are ended."""
    listing, others = _others(workspace)
    number = live_access.count(database(), others)
    if number > steps.MANY:
        return _to_steps(workspace, listing, "sessions.ask_ending")
    return _confirm_page(workspace, "session", listing, number)


@pages.post("/end", permission=WRITE)
def end_all(workspace: Workspace) -> Response:
    """End all sessions that the filters leave, but the visitor's own."""
    _, others = _others(workspace)
    ended = live_access.end_sessions(database(), _actor(workspace), others, counts.confirmed())
    database().commit()
    return go(workspace, "sessions.index", ended=ended)


@pages.get("/all/end", permission=WRITE)
def ask_ending(workspace: Workspace) -> Response:
    """Show how many sessions would be ended in steps."""
    listing, others = _others(workspace)
    progress = steps.begin(database(), others, BrowserSession.id)
    return _steps(workspace, progress, _of_sessions(listing), is_asked=True)


@pages.post("/all/end", permission=WRITE)
def end_step(workspace: Workspace) -> Response:
    """End the next sessions that the filters leave, but the visitor's own."""
    listing, others = _others(workspace)
    actor = _actor(workspace)

    def end_one(session_id: int) -> None:
        live_access.end_session(database(), actor, session_id)

    progress = steps.carry_out(database(), others, BrowserSession.id, steps.read(), end_one)
    database().commit()
    return _steps(workspace, progress, _of_sessions(listing))


@pages.get("/grants/end", permission=WRITE)
def confirm_grants(workspace: Workspace) -> Response:
    """Show how many grants the filters leave, before all of them are ended."""
    listing, query = filters.grants(workspace, WRITE)
    number = live_access.count(database(), query)
    if number > steps.MANY:
        return _to_steps(workspace, listing, "sessions.ask_ending_grants")
    return _confirm_page(workspace, "grant", listing, number)


@pages.post("/grants/end", permission=WRITE)
def end_all_grants(workspace: Workspace) -> Response:
    """End all grants that the filters leave."""
    _, query = filters.grants(workspace, WRITE)
    ended = live_access.end_grants(database(), query, counts.confirmed())
    database().commit()
    return go(workspace, "sessions.grants", ended=ended)


@pages.get("/grants/all/end", permission=WRITE)
def ask_ending_grants(workspace: Workspace) -> Response:
    """Show how many grants would be ended in steps."""
    listing, query = filters.grants(workspace, WRITE)
    progress = steps.begin(database(), query, Grant.id)
    return _steps(workspace, progress, _of_grants(listing), is_asked=True)


@pages.post("/grants/all/end", permission=WRITE)
def end_grants_step(workspace: Workspace) -> Response:
    """End the next grants that the filters leave."""
    listing, query = filters.grants(workspace, WRITE)

    def end_one(grant_id: int) -> None:
        live_access.end_grant(database(), query, grant_id)

    progress = steps.carry_out(database(), query, Grant.id, steps.read(), end_one)
    database().commit()
    return _steps(workspace, progress, _of_grants(listing))


def _others(workspace: Workspace) -> tuple[lists.Listing, Select[BrowserSession]]:
    """Return the sessions that the filters leave, without the visitor's own."""
    listing, query = filters.sessions(workspace, WRITE)
    return listing, query.where(BrowserSession.id != workspace.visitor.browser.id)


def _to_steps(workspace: Workspace, listing: lists.Listing, endpoint: str) -> Response:
    """Go to the page that ends the rows of a list in steps."""
    address, query = workspace.url(endpoint), listing.address().partition("?")[2]
    return redirect(f"{address}?{query}" if query else address, 303)


def _steps(
    workspace: Workspace,
    progress: steps.Progress,
    wording: steps.Wording,
    *,
    is_asked: bool = False,
) -> Response:
    return steps.page(workspace, screens.SESSIONS, progress, wording, is_asked=is_asked)


def _of_sessions(listing: lists.Listing) -> steps.Wording:
    text = gettext(
        "These people are signed out, and the tokens issued in the sessions end."
        " Your own session stays."
    )
    return steps.Wording(gettext("End sessions"), text, listing.address())


def _of_grants(listing: lists.Listing) -> steps.Wording:
    text = gettext("The tokens of these grants end. Consents stay, and so do sign-ins.")
    return steps.Wording(gettext("End grants"), text, listing.address())


def _actor(workspace: Workspace) -> Actor:
    return workspaces.acting(database(), workspace, WRITE)


def _page(
    workspace: Workspace, name: str, page: lists.Page, shown: list[Any], end_all_endpoint: str
) -> Response:
    query = page.listing.address().partition("?")[2]
    end_address = workspace.url(end_all_endpoint)
    return layout.page(
        workspace,
        f"sessions/{name}.html",
        screen=screens.SESSIONS,
        page=page,
        lines=shown,
        beginnings=user_lines.beginnings_of(database(), workspace, page.listing.text),
        end_all=f"{end_address}?{query}" if query else end_address,
        may_end=workspace.may(WRITE),
        write=WRITE,
        notice=_notice(),
    )


def _confirm_page(workspace: Workspace, kind: str, listing: lists.Listing, count: int) -> Response:
    return layout.page(
        workspace,
        "sessions/end.html",
        screen=screens.SESSIONS,
        crumbs=[layout.Crumb(gettext("End all"))],
        kind=kind,
        count=count,
        most=live_access.MOST_ENDED,
        listing=listing,
        back=listing.address(),
    )


def _notice() -> str | None:
    """Return how many were ended, after it was done."""
    number = request.args.get("ended", "")
    if not number.isdecimal():
        return None
    text: str = ngettext("%(num)s was ended.", "%(num)s were ended.", min(int(number[:9]), 10**6))
    return text
