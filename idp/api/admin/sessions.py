"""Browser sessions of a user in a tenant: listed and ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from idp.account import sessions
from idp.api.actor import acts_for_platform, current_actor, tenant_or_platform
from idp.api.admin.dialect import (
    AdminShape,
    Page,
    Paging,
    admin,
    page,
    row_id,
)
from idp.directory.scopes import Scope
from idp.platform.sessions.models import BrowserSession
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int32, int64, text

PATH = "/tenants/<int:tenant>/users/<int:user>/sessions"


class SessionShape(AdminShape):
    """A live session, without its secret."""

    schema_name = "Session"

    id = int64()
    issuer = int64(attribute="issuer_tenant_id")
    tenant = int64(attribute="tenant_id", allow_none=True)
    amr = fields.List(text())
    remember = fields.Boolean()
    remote_addr = text(allow_none=True)
    user_agent = text(allow_none=True)
    signed_in_at = Moment(attribute="auth_time")
    last_seen_at = Moment()
    expires_at = Moment()


class EndedShape(AdminShape):
    """The answer of ending all sessions."""

    schema_name = "EndedSessions"

    ended = int32()


class ListQuery(Paging):
    """Where the page starts."""

    after = row_id(minimum=0, load_default=0)


SESSION = SessionShape()


@admin.operation(
    "sessions-list",
    "GET",
    PATH,
    scope=Scope.ADMIN_SESSIONS_READ,
    tenant=tenant_or_platform(Scope.ADMIN_SESSIONS_READ),
    query=ListQuery(),
    result=SESSION,
    form="page",
)
def list_(tenant: int, user: int, query: Mapping[str, Any]) -> Page:
    """List the sessions of a user, the oldest first."""
    actor = current_actor().within(tenant)
    everywhere = acts_for_platform(Scope.ADMIN_SESSIONS_READ)
    person = sessions.get_person(database(), actor, user, everywhere=everywhere)
    found = sessions.list_live(
        database(), person, after_id=query["after"], limit=query["limit"] + 1
    )
    return page(found, query["limit"], lambda row: row.id)


@admin.operation(
    "sessions-end",
    "POST",
    f"{PATH}/<int:id>/end",
    scope=Scope.ADMIN_SESSIONS_WRITE,
    tenant=tenant_or_platform(Scope.ADMIN_SESSIONS_WRITE),
    result=SESSION,
)
def end(tenant: int, user: int, id: int) -> BrowserSession:
    """End a session of a user, with the tokens that were issued in it."""
    actor, everywhere = (
        current_actor().within(tenant),
        acts_for_platform(Scope.ADMIN_SESSIONS_WRITE),
    )
    person = sessions.get_person(database(), actor, user, everywhere=everywhere)
    row = sessions.end(database(), person, id, tenant_id=tenant, by=actor.user_id)
    database().commit()
    return row


@admin.operation(
    "sessions-end-all",
    "POST",
    f"{PATH}/end",
    scope=Scope.ADMIN_SESSIONS_WRITE,
    tenant=tenant_or_platform(Scope.ADMIN_SESSIONS_WRITE),
    result=EndedShape(),
)
def end_all(tenant: int, user: int) -> dict[str, int]:
    """End every session of a user."""
    actor, everywhere = (
        current_actor().within(tenant),
        acts_for_platform(Scope.ADMIN_SESSIONS_WRITE),
    )
    person = sessions.get_person(database(), actor, user, everywhere=everywhere)
    ended = sessions.end_all(database(), person, tenant_id=tenant, by=actor.user_id)
    database().commit()
    return {"ended": ended}
