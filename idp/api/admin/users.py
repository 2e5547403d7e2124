"""Users of the whole installation: list, read, disable, enable, unlock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from idp.api.actor import current_actor, platform
from idp.api.admin.dialect import (
    AdminShape,
    Page,
    Paging,
    admin,
    page,
    row_id,
    yes_or_no,
)
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int64, text

LONGEST_SEARCH = 200


class UserShape(AdminShape):
    """An account, without secrets."""

    schema_name = "User"

    id = int64()
    username = text()
    nickname = text(attribute="nick_name", allow_none=True)
    email = text(allow_none=True)
    email_verified = fields.Boolean()
    phone_number = text(attribute="mobile", allow_none=True)
    phone_number_verified = fields.Boolean(attribute="mobile_verified")
    locale = text(allow_none=True)
    disabled = fields.Boolean(attribute="is_disabled")
    locked_until = Moment(allow_none=True)
    created_at = Moment()


class RoleOfUserShape(AdminShape):
    """A role of a user: of a tenant, or of the platform."""

    schema_name = "RoleOfUser"

    role = text()
    tenant = int64(allow_none=True)


class UserDetailShape(UserShape):
    """An account with its tenants and roles."""

    schema_name = "UserDetail"

    tenants = fields.List(int64())
    roles = fields.List(fields.Nested(RoleOfUserShape))


class ListQuery(Paging):
    """Filters of the list."""

    search = text(LONGEST_SEARCH, load_default=None)
    tenant = row_id(load_default=None)
    disabled = yes_or_no()
    after = row_id(minimum=0, load_default=0)


USER = UserShape()
_AS_STORED = tuple(field.attribute or name for name, field in USER.fields.items())


@admin.operation(
    "users-list",
    "GET",
    "/users",
    scope=Scope.ADMIN_USERS_READ,
    tenant=platform,
    query=ListQuery(),
    gives=USER,
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List users by id."""
    found = users.list(
        database(),
        search=query["search"],
        tenant_id=query["tenant"],
        is_disabled=query["disabled"],
        after_id=query["after"],
        limit=query["limit"] + 1,
    )
    return page(found, query["limit"], lambda user: user.id)


@admin.operation(
    "users-get",
    "GET",
    "/users/<int:id>",
    scope=Scope.ADMIN_USERS_READ,
    tenant=platform,
    gives=UserDetailShape(),
)
def detail(id: int) -> dict[str, Any]:
    """Read a user with tenants and roles."""
    user = users.get(database(), id)
    tenant_ids, roles = people.tenants_and_roles(database(), user.id)
    return {
        **{name: getattr(user, name) for name in _AS_STORED},
        "tenants": tenant_ids,
        "roles": [{"role": code, "tenant": tenant_id} for code, tenant_id in roles],
    }


@admin.operation(
    "users-disable",
    "POST",
    "/users/<int:id>/disable",
    scope=Scope.ADMIN_USERS_WRITE,
    tenant=platform,
    gives=USER,
)
def disable(id: int) -> User:
    """Disable a user; their sessions and tokens end."""
    user = people.disable(database(), current_actor(), id)
    database().commit()
    return user


@admin.operation(
    "users-enable",
    "POST",
    "/users/<int:id>/enable",
    scope=Scope.ADMIN_USERS_WRITE,
    tenant=platform,
    gives=USER,
)
def enable(id: int) -> User:
    """Enable a disabled user again."""
    user = people.enable(database(), current_actor(), id)
    database().commit()
    return user


@admin.operation(
    "users-unlock",
    "POST",
    "/users/<int:id>/unlock",
    scope=Scope.ADMIN_USERS_WRITE,
    tenant=platform,
    gives=USER,
)
def unlock(id: int) -> User:
    """End the lock of a user before its time."""
    user = people.unlock(database(), current_actor(), id)
    database().commit()
    return user
