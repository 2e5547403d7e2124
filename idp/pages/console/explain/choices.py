"""What the fields of a question suggest: things that the visitor may list anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from idp.directory.clients import management as clients
from idp.directory.clients.models import SORT_NAME as CLIENT_NAME
from idp.directory.clients.models import Client
from idp.directory.scopes import Scope
from idp.directory.tenants import management as tenants
from idp.directory.tenants.models import Tenant
from idp.directory.users import management as people
from idp.directory.users.models import SORT_NAME, User
from idp.pages.console import workspaces
from idp.pages.console.workspaces import Workspace

Row = TypeVar("Row")
MOST = 100
"""Suggestions of a field; anything else is typed."""

Suggestions = list[tuple[str, str]]
"""What is filled in, and what it is called."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What each field suggests."""

    people: Suggestions
    clients: Suggestions
    tenants: Suggestions


def of(session: Session, workspace: Workspace) -> Choices:
    """Return what the visitor may choose of: three queries, however much there is."""
    found: dict[str, Suggestions] = {"people": [], "clients": [], "tenants": []}
    if workspace.may(Scope.ADMIN_USERS_READ):
        actor = workspaces.acting(session, workspace, Scope.ADMIN_USERS_READ)
        users = session.scalars(_first(people.members_query(actor), SORT_NAME, User.id))
        found["people"] = [(user.username, user.full_name) for user in users]
    if workspace.may(Scope.CLIENT_GET):
        rows = session.scalars(_first(clients.list_query(workspace.actor), CLIENT_NAME, Client.id))
        found["clients"] = [(row.client_id, row.client_name or row.client_id) for row in rows]
    if workspace.tenant is None and workspace.may(Scope.TENANT_GET):
        listed = tenants.list_query(session, workspace.actor, Scope.TENANT_GET)
        owners = session.scalars(_first(listed, Tenant.name, Tenant.id))
        found["tenants"] = [(str(tenant.id), tenant.name) for tenant in owners]
    return Choices(**found)


def _first(query: Select[Row], *order: Any) -> Select[Row]:
    return query.order_by(None).order_by(*order).limit(MOST)
