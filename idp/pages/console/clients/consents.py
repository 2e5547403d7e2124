"""What people allow a client: found, and removed one by one or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flask import request
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import Select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.account import client_access, live_access
from idp.directory.clients.models import Client
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.oauth.models import Consent
from idp.pages.console import counts, layout, lists, screens, workspaces
from idp.pages.console.clients.views import crumbs, get, pages, tab_page
from idp.pages.console.gate import go
from idp.pages.console.lists import Listing, Sort
from idp.pages.console.users import lines as people
from idp.pages.console.workspaces import Workspace
from idp.platform.web.views import database

READ, WRITE = Scope.ADMIN_SESSIONS_READ, Scope.ADMIN_SESSIONS_WRITE
SORTS = {"since": Sort(_("Since"), Consent.created_at)}


@dataclass(frozen=True, slots=True)
class Line:
    """A consent in the list."""

    row: Consent
    name: str
    tenant: str | None


@pages.get("/<int:row_id>/consents", permission=READ)
def show_consents(workspace: Workspace, row_id: int) -> Response:
    """List what people allow a client."""
    client = get(workspace, row_id)
    listing, query = _read(workspace, client, READ)
    page = lists.fetch(database(), query, listing, Consent.id)
    asked = listing.address().partition("?")[2]
    end_all = workspace.url("clients.confirm_consents", row_id=client.id)
    return tab_page(
        workspace,
        client,
        "consents",
        page=page,
        consents=_lines(database(), page.rows),
        end_all=f"{end_all}?{asked}" if asked else end_all,
        may_end=workspace.may(WRITE),
        write=WRITE,
        ended=_ended(),
    )


@pages.post("/<int:row_id>/consents/<int:consent_id>/end", permission=WRITE)
def end_consent(workspace: Workspace, row_id: int, consent_id: int) -> Response:
    """Remove what one person allows a client; its tokens for that person end."""
    client = get(workspace, row_id)
    client_access.end_consent(database(), _query(workspace, client, WRITE), consent_id)
    database().commit()
    return go(workspace, "clients.show_consents", row_id=client.id, ended=1)


@pages.get("/<int:row_id>/consents/end", permission=WRITE)
def confirm_consents(workspace: Workspace, row_id: int) -> Response:
    """Show how many consents the search leaves, before all of them are removed."""
    client = get(workspace, row_id)
    listing, query = _read(workspace, client, WRITE)
    return layout.page(
        workspace,
        "clients/consents_end.html",
        screen=screens.CLIENTS,
        crumbs=crumbs(workspace, client, gettext("Remove all")),
        client=client,
        count=live_access.count(database(), query),
        most=live_access.MOST_ENDED,
        listing=listing,
        back=listing.address(),
    )


@pages.post("/<int:row_id>/consents/end", permission=WRITE)
def end_consents(workspace: Workspace, row_id: int) -> Response:
    """Remove the consents that the search leaves."""
    client = get(workspace, row_id)
    _, query = _read(workspace, client, WRITE)
    ended = client_access.end_consents(database(), query, counts.confirmed())
    database().commit()
    return go(workspace, "clients.show_consents", row_id=client.id, ended=ended)


def _read(
    workspace: Workspace, client: Client, permission: Scope
) -> tuple[Listing, Select[Consent]]:
    path = workspace.url("clients.show_consents", row_id=client.id)
    listing = replace(lists.read(SORTS, usual="-since"), path=path)
    query = _query(workspace, client, permission)
    if listing.text:
        query = query.where(people.matches(database(), workspace, listing.text))
    return listing, query


def _query(workspace: Workspace, client: Client, permission: Scope) -> Select[Consent]:
    actor = workspaces.acting(database(), workspace, permission)
    return client_access.consents_query(actor, client_row_id=client.id)


def _lines(session: Session, rows: Sequence[Consent]) -> list[Line]:
    """Describe consents: two queries, however many there are."""
    names = users.names_of(session, {row.user_id for row in rows})
    found = tenants.names(session, {row.tenant_id for row in rows})
    return [Line(row, names[row.user_id], found.get(row.tenant_id)) for row in rows]


def _ended() -> str | None:
    """Return how many were removed, after it was done."""
    number = request.args.get("ended", "")
    if not number.isdecimal():
        return None
    text: str = ngettext(
        "%(num)s consent was removed.",
        "%(num)s consents were removed.",
        min(int(number[:9]), 10**6),
    )
    return text
