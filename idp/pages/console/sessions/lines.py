"""Sessions and grants as the lists show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.account import live_access
from idp.directory.clients.models import Client
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.oauth.models import Grant
from idp.pages import agents
from idp.pages.console.workspaces import Workspace
from idp.platform.sessions.models import BrowserSession


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A live session."""

    row: BrowserSession
    name: str
    browser: str | None
    system: str | None
    clients: Sequence[str]
    tenant: str | None
    """Chosen in the session."""
    is_current: bool


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A live grant."""

    row: Grant
    name: str
    client: str
    tenant: str | None


def of_sessions(
    session: Session, workspace: Workspace, rows: Sequence[BrowserSession]
) -> list[SessionLine]:
    """Describe sessions: three queries, however many there are."""
    people = users.names_of(session, {row.user_id for row in rows})
    clients = live_access.clients_of(session, [row.id for row in rows])
    names = tenants.names(session, {row.tenant_id for row in rows if row.tenant_id})
    return [
        SessionLine(
            row,
            people[row.user_id],
            *agents.describe(row.user_agent),
            clients.get(row.id, ()),
            names.get(row.tenant_id or 0),
            row.id == workspace.visitor.browser.id,
        )
        for row in rows
    ]


def of_grants(session: Session, rows: Sequence[Grant]) -> list[GrantLine]:
    """Describe grants: three queries, however many there are."""
    people = users.names_of(session, {row.user_id for row in rows})
    ids = {row.client_id for row in rows}
    found = session.scalars(select(Client).where(Client.id.in_(ids)))
    clients = {client.id: client.client_name or client.client_id for client in found}
    names = tenants.names(session, {row.tenant_id for row in rows})
    return [
        GrantLine(row, people[row.user_id], clients[row.client_id], names.get(row.tenant_id))
        for row in rows
    ]
