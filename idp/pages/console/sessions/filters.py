"""What the lists of sessions and grants are narrowed by: person, client, tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from idp.account import live_access
from idp.directory.actor import Actor
from idp.directory.clients.models import Client
from idp.directory.scopes import Scope
from idp.directory.tenants.models import Tenant
from idp.directory.users import management as people
from idp.directory.users.models import User
from idp.oauth.models import Grant
from idp.pages.console import lists, workspaces
from idp.pages.console.lists import Filter, Listing, Sort
from idp.pages.console.users import lines
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import NotFound
from idp.platform.sessions.models import BrowserSession
from idp.platform.web.views import database

READ, WRITE = Scope.ADMIN_SESSIONS_READ, Scope.ADMIN_SESSIONS_WRITE
MOST_CHOICES = 50
NEWEST = 1_000
"""Grants whose clients and organisations are offered as filters; an address may name others."""
MOST_DIGITS = 18
SESSION_SORTS = {
    "seen": Sort(_("Last active"), BrowserSession.last_seen_at),
    "started": Sort(_("Signed in"), BrowserSession.auth_time),
}
GRANT_SORTS = {
    "created": Sort(_("Since"), Grant.id),  # in the order of time, and there is an index
    "expires": Sort(_("Ends"), Grant.expires_at),
}


def sessions(workspace: Workspace, permission: str) -> tuple[Listing, Select[BrowserSession]]:
    """Return what the address asks of the list of sessions, and the query that follows from it."""
    session = database()
    actor = workspaces.acting(session, workspace, permission)
    query = live_access.sessions_query(session, actor)
    listing = _read(session, workspace, actor, SESSION_SORTS, "sessions.index")
    chosen = listing.chosen
    if "client" in chosen:
        query = query.where(live_access.of_client(int(chosen["client"])))
    if "tenant" in chosen:
        query = query.where(BrowserSession.tenant_id == int(chosen["tenant"]))
    return listing, query.where(*_of_person(workspace, listing, BrowserSession.user_id))


def grants(workspace: Workspace, permission: str) -> tuple[Listing, Select[Grant]]:
    """Return what the address asks of the list of grants, and the query that follows from it."""
    session = database()
    actor = workspaces.acting(session, workspace, permission)
    query = live_access.grants_query(actor)
    listing = _read(session, workspace, actor, GRANT_SORTS, "sessions.grants")
    chosen = listing.chosen
    if "client" in chosen:
        query = query.where(Grant.client_id == int(chosen["client"]))
    if "tenant" in chosen:
        query = query.where(Grant.tenant_id == int(chosen["tenant"]))
    return listing, query.where(*_of_person(workspace, listing, Grant.user_id))


def _read(
    session: Session,
    workspace: Workspace,
    actor: Actor,
    sorts: Mapping[str, Sort],
    endpoint: str,
) -> Listing:
    listing = lists.read(sorts, _filters(session, workspace, actor))
    return replace(listing, path=workspace.url(endpoint))


def _filters(session: Session, workspace: Workspace, actor: Actor) -> dict[str, Filter]:
    """Return the filters: clients and organisations of live grants, and a person if named."""
    newest = live_access.places_of_newest(session, actor, NEWEST)
    named = _named(session, actor, Grant.client_id, "client")
    clients = select(Client.id, Client.client_name).where(
        Client.id.in_({named, *(client_id for client_id, _tenant_id in newest)})
    )
    found = {"client": Filter(_("Client"), _choices(session, clients, Client.client_name))}
    if workspace.tenant is None:
        named = _named(session, actor, Grant.tenant_id, "tenant")
        tenants = select(Tenant.id, Tenant.name).where(
            Tenant.id.in_({named, *(tenant_id for _client_id, tenant_id in newest)})
        )
        found["tenant"] = Filter(_("Organisation"), _choices(session, tenants, Tenant.name))
    if "person" in request.args:
        found["person"] = Filter(_("User"), _person(session, actor))
    return {name: each for name, each in found.items() if each.choices}


def _named(session: Session, actor: Actor, column: Any, name: str) -> int:
    """Return the id that the address names, where live grants have it; else 0, which no row has."""
    text = request.args.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > MOST_DIGITS:
        return 0
    query = live_access.grants_query(actor).where(column == int(text))
    found = session.scalar(query.with_only_columns(column).limit(1))
    return 0 if found is None else int(found)


def _person(session: Session, actor: Actor) -> dict[str, str]:
    """Return the person that the address names; NotFound for one that is not in reach."""
    text = request.args["person"]
    if not (text.isascii() and text.isdigit()):
        raise NotFound
    user = people.get_member(session, actor, int(text[:20]))
    return {text: user.full_name}


def _of_person(workspace: Workspace, listing: Listing, column: Any) -> list[ColumnElement[bool]]:
    """Return in SQL whose rows are listed."""
    found = []
    if listing.text:
        matches = lines.matches(database(), workspace, listing.text)
        found.append(column.in_(select(User.id).where(matches)))
    if "person" in listing.chosen:
        found.append(column == int(listing.chosen["person"]))
    return found


def _choices(session: Session, query: Any, name: Any) -> dict[str, str]:
    rows = session.execute(query.order_by(name).limit(MOST_CHOICES))
    return {str(row_id): title or str(row_id) for row_id, title in rows}
