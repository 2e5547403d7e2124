"""Live grants (sign-ins of people at clients) of a user and of a client: listed and ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields
from sqlalchemy import Select

from idp.account import live_access
from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, page_of, row_id
from idp.directory.clients import management as clients
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.oauth.models import Grant
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int32, int64, text

READ, WRITE = Scope.ADMIN_SESSIONS_READ, Scope.ADMIN_SESSIONS_WRITE
OF_USER = "/tenants/<int:tenant>/users/<int:user>/grants"
OF_CLIENT = "/tenants/<int:tenant>/clients/<int:client>/grants"


class GrantShape(AdminShape):
    """A live grant, without its tokens."""

    schema_name = "Grant"

    id = int64()
    user = int64(attribute="user_id")
    client = int64(attribute="client_id")
    tenant = int64(attribute="tenant_id")
    scopes = fields.List(text())
    signed_in_at = Moment(attribute="auth_time")
    created_at = Moment()
    expires_at = Moment()


class EndedShape(AdminShape):
    """How many were ended, and how many are left."""

    schema_name = "Ended"

    ended = int32()
    remaining = int32()


class ListQuery(Paging):
    """Where the page starts."""

    after = row_id(minimum=0, load_default=0)


GRANT = GrantShape()
ENDED = EndedShape()


@admin.operation(
    "sessions-user-grant-list",
    "GET",
    OF_USER,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=GRANT,
    form="page",
)
def list_of_user(tenant: int, user: int, query: Mapping[str, Any]) -> Page:
    """List the live grants of a user, the oldest first."""
    return page_of(_of_user(READ, tenant, user), Grant, query)


@admin.operation(
    "sessions-user-grant-end",
    "POST",
    f"{OF_USER}/<int:id>/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def end_of_user(tenant: int, user: int, id: int) -> None:
    """End a grant of a user with its tokens."""
    _end(_of_user(WRITE, tenant, user), id)


@admin.operation(
    "sessions-user-grant-end-all",
    "POST",
    f"{OF_USER}/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=ENDED,
)
def end_all_of_user(tenant: int, user: int) -> dict[str, int]:
    """End the live grants of a user, 500 at a time."""
    return _end_all(_of_user(WRITE, tenant, user))


@admin.operation(
    "sessions-client-grant-list",
    "GET",
    OF_CLIENT,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=GRANT,
    form="page",
)
def list_of_client(tenant: int, client: int, query: Mapping[str, Any]) -> Page:
    """List the live grants at a client, the oldest first."""
    return page_of(_of_client(READ, tenant, client), Grant, query)


@admin.operation(
    "sessions-client-grant-end",
    "POST",
    f"{OF_CLIENT}/<int:id>/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def end_of_client(tenant: int, client: int, id: int) -> None:
    """End a grant at a client with its tokens."""
    _end(_of_client(WRITE, tenant, client), id)


@admin.operation(
    "sessions-client-grant-end-all",
    "POST",
    f"{OF_CLIENT}/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=ENDED,
)
def end_all_of_client(tenant: int, client: int) -> dict[str, int]:
    """End the live grants at a client, 500 at a time."""
    return _end_all(_of_client(WRITE, tenant, client))


def _of_user(permission: Scope, tenant: int, user_id: int) -> Select[Grant]:
    actor = acting(permission, tenant)
    user = people.get_member(database(), actor, user_id)
    return live_access.grants_query(actor).where(Grant.user_id == user.id)


def _of_client(permission: Scope, tenant: int, row_id: int) -> Select[Grant]:
    actor = acting(permission, tenant)
    client = clients.get(database(), actor, row_id)
    return live_access.grants_query(actor).where(Grant.client_id == client.id)


def _end(found: Select[Grant], grant_id: int) -> None:
    live_access.end_grant(database(), found, grant_id)
    database().commit()


def _end_all(found: Select[Grant]) -> dict[str, int]:
    ended = live_access.end_grants(database(), found, live_access.MOST_ENDED)
    remaining = live_access.count(database(), found)
    database().commit()
    return {"ended": ended, "remaining": remaining}
