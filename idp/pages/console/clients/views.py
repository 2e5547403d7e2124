"""Clients: the list, a page for each with its tabs, secrets, and the end of one."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import lazy_gettext as _
from sqlalchemy import String, func
from werkzeug.wrappers import Response

from idp.directory.clients import kinds
from idp.directory.clients import management as clients
from idp.directory.clients.models import Client
from idp.directory.scopes import Scope
from idp.pages.console import layout, lists, screens, trail
from idp.pages.console.clients import lines
from idp.pages.console.gate import Hit, Pages
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.web.views import database

NAME = func.lower(func.coalesce(Client.client_name, Client.client_id), type_=String)
SORTS = {
    "name": Sort(_("Client"), NAME),
    "created": Sort(_("Created"), Client.created_at),
}
FILTERS = {
    "kind": Filter(_("Kind"), {name: title for name, (title, _icon) in lines.KINDS.items()}),
    "state": Filter(_("State"), {"enabled": _("Enabled"), "disabled": _("Disabled")}),
}

EVENTS = (
    Tag.CLIENT_CHANGED,
    Tag.CLIENT_CREATED,
    Tag.CLIENT_SECRET_ADDED,
    Tag.CLIENT_SECRET_REMOVED,
)

pages = Pages(screens.CLIENTS)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List clients."""
    listing = lists.read(SORTS, FILTERS)
    query = clients.list_query(workspace.actor)
    if listing.text:
        query = query.where(lists.matches(listing.text, Client.client_name, Client.client_id))
    if "kind" in listing.chosen:
        query = query.where(kinds.is_of(listing.chosen["kind"]))
    if "state" in listing.chosen:
        query = query.where(Client.enabled.is_(listing.chosen["state"] == "enabled"))
    page = lists.fetch(database(), query, listing, Client.id)
    return layout.page(
        workspace,
        "clients/index.html",
        screen=screens.CLIENTS,
        page=page,
        lines=lines.of(database(), page.rows),
        kinds=lines.KINDS,
        may_open=workspace.may(Scope.CLIENT_DETAIL),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find clients by name or id."""
    if not workspace.may(Scope.CLIENT_DETAIL):
        return []
    found = clients.list_query(workspace.actor).where(
        lists.matches(text, Client.client_name, Client.client_id)
    )
    rows = database().scalars(found.order_by(NAME, Client.id).limit(5)).all()
    return [
        Hit(
            row.client_name or row.client_id,
            row.client_id,
            workspace.url("clients.show", row_id=row.id),
        )
        for row in rows
    ]


@pages.get("/<int:row_id>", permission=Scope.CLIENT_DETAIL)
def show(workspace: Workspace, row_id: int) -> Response:
    """Show a client."""
    client = clients.get(database(), workspace.actor, row_id)
    return layout.page(
        workspace,
        "clients/show.html",
        screen=screens.CLIENTS,
        crumbs=[layout.Crumb(client.client_name or client.client_id)],
        line=lines.of(database(), [client])[0],
        kinds=lines.KINDS,
        events=trail.of(database(), f"client:{client.client_id}", EVENTS),
    )
