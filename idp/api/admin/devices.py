"""Devices that a user signed in with, and where no second factor is asked for: listed, removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.account import devices as rules
from idp.account import sessions
from idp.api.actor import acts_for_platform, current_actor, tenant_or_platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, page, row_id
from idp.directory.devices import service as devices
from idp.directory.scopes import Scope
from idp.directory.users.models import User
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int64, text

READ, WRITE = Scope.ADMIN_SESSIONS_READ, Scope.ADMIN_SESSIONS_WRITE
PATH = "/tenants/<int:tenant>/users/<int:user>/devices"


class DeviceShape(AdminShape):
    """A device, without what it is known by."""

    schema_name = "Device"

    id = int64()
    issuer = int64(attribute="issuer_tenant_id")
    remote_addr = text(allow_none=True)
    user_agent = text(allow_none=True)
    first_used_at = Moment()
    last_used_at = Moment()
    remembered_until = Moment(allow_none=True)


class ListQuery(Paging):
    """Where the page starts."""

    after = row_id(minimum=0, load_default=0)


@admin.operation(
    "sessions-user-device-list",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=DeviceShape(),
    form="page",
)
def list_(tenant: int, user: int, query: Mapping[str, Any]) -> Page:
    """List the devices that a user signed in with."""
    found = devices.list_for(
        database(), _person(READ, tenant, user), after_id=query["after"], limit=query["limit"] + 1
    )
    return page(found, query["limit"], lambda each: each.id)


@admin.operation(
    "sessions-user-device-remove",
    "POST",
    f"{PATH}/<int:id>/remove",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def remove(tenant: int, user: int, id: int) -> None:
    """Remove a device of a user; the second factor is asked for there again."""
    person = _person(WRITE, tenant, user)
    rules.revoke(database(), person, id, tenant_id=tenant, by=current_actor().user_id)
    database().commit()


def _person(permission: Scope, tenant: int, user_id: int) -> User:
    actor = current_actor().within(tenant)
    everywhere = acts_for_platform(permission)
    return sessions.get_person(database(), actor, user_id, everywhere=everywhere)
