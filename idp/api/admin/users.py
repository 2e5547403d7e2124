"""Users of a tenant, or at the platform of all: found, made, kept out or let in again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, post_load, validate

from idp.account import administration
from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.audit import EVENT, Cursor, cursor
from idp.api.admin.dialect import (
    AdminShape,
    Page,
    Paging,
    admin,
    page,
    row_id,
    yes_or_no,
)
from idp.api.answers import current_language
from idp.directory.actor import Actor
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.directory.users import service as users
from idp.directory.users.management import NewPerson
from idp.directory.users.models import User
from idp.platform.audit import service as audit
from idp.platform.errors import BadRequest
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, boolean, int32, int64, text

PATH = "/tenants/<int:tenant>/users"
READ, WRITE = Scope.ADMIN_USERS_READ, Scope.ADMIN_USERS_WRITE
LONGEST_SEARCH = 200
LONGEST_NAME = 256
LONGEST_CODE = 200
MOST_ROLES = 50


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


class CreatedUserShape(UserDetailShape):
    """A new account, with its password where one was generated."""

    schema_name = "CreatedUser"

    password = text(allow_none=True)


class NewUserShape(AdminShape):
    """An account to be created."""

    schema_name = "NewUser"

    username = text(LONGEST_NAME, minimum=1, required=True)
    email = text(LONGEST_NAME, minimum=1, allow_none=True, load_default=None)
    phone_number = text(40, minimum=1, attribute="mobile", allow_none=True, load_default=None)
    nickname = text(
        LONGEST_CODE, minimum=1, attribute="nick_name", allow_none=True, load_default=None
    )
    locale = text(20, minimum=1, allow_none=True, load_default=None)
    roles = fields.List(
        text(LONGEST_CODE, minimum=1), load_default=(), validate=validate.Length(max=MOST_ROLES)
    )
    send_link = boolean(load_default=False)

    @post_load
    def to_new(self, data: dict[str, Any], **_: Any) -> tuple[NewPerson, bool]:
        """Return what the view takes: the account, and whether its owner chooses the password."""
        by_link = data.pop("send_link")
        return NewPerson(**data), by_link


class SignedOutShape(AdminShape):
    """What signing a user out answers."""

    schema_name = "SignedOut"

    ended = int32()


class ListQuery(Paging):
    """Filters of the list."""

    search = text(LONGEST_SEARCH, load_default=None)
    role = text(LONGEST_CODE, load_default=None)
    in_tenant = row_id(load_default=None)
    disabled = yes_or_no()
    after = row_id(minimum=0, load_default=0)


class ActivityQuery(Paging):
    """Where the list goes on."""

    after = Cursor(load_default=None)


USER = UserShape()
_AS_STORED = tuple(field.attribute or name for name, field in USER.fields.items())


@admin.operation(
    "users-list",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=USER,
    form="page",
)
def list_(tenant: int, query: Mapping[str, Any]) -> Page:
    """List users by id."""
    found = users.list(
        database(),
        search=query["search"],
        tenant_id=_listed_tenant(acting(READ, tenant), query["in_tenant"]),
        is_disabled=query["disabled"],
        role=query["role"],
        after_id=query["after"],
        limit=query["limit"] + 1,
    )
    return page(found, query["limit"], lambda user: user.id)


@admin.operation(
    "users-create",
    "POST",
    PATH,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=NewUserShape(),
    result=CreatedUserShape(),
    location="/tenants/{tenant}/users/{id}",
)
def create(tenant: int, body: tuple[NewPerson, bool]) -> dict[str, Any]:
    """Create an account, with a password that is shown once or with a link by mail."""
    actor, (new, by_link) = acting(WRITE, tenant), body
    added = administration.add(database(), actor, new, by_link=by_link, locale=current_language())
    shown = _detail(actor, added.user) | {"password": added.password}
    database().commit()
    return shown


@admin.operation(
    "users-get",
    "GET",
    f"{PATH}/<int:id>",
    scope=READ,
    tenant=tenant_or_platform(READ),
    result=UserDetailShape(),
)
def detail(tenant: int, id: int) -> dict[str, Any]:
    """Read a user with tenants and roles."""
    actor = acting(READ, tenant)
    return _detail(actor, people.get_member(database(), actor, id))


@admin.operation(
    "users-activity",
    "GET",
    f"{PATH}/<int:id>/activity",
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ActivityQuery(),
    result=EVENT,
    form="page",
)
def activity(tenant: int, id: int, query: Mapping[str, Any]) -> Page:
    """List what a user did and what was done to them."""
    actor = acting(READ, tenant)
    user = people.get_member(database(), actor, id)
    found = audit.about_person(
        database(),
        user.id,
        tenant_id=None if actor.reaches_all else tenant,
        limit=query["limit"] + 1,
        before=query["after"],
    )
    return page(found, query["limit"], cursor)


@admin.operation(
    "users-disable",
    "POST",
    f"{PATH}/<int:id>/disable",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=USER,
)
def disable(tenant: int, id: int) -> User:
    """Disable a user; their sessions and tokens end."""
    user = people.disable(database(), acting(WRITE, tenant), id)
    database().commit()
    return user


@admin.operation(
    "users-enable",
    "POST",
    f"{PATH}/<int:id>/enable",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=USER,
)
def enable(tenant: int, id: int) -> User:
    """Enable a disabled user again."""
    user = people.enable(database(), acting(WRITE, tenant), id)
    database().commit()
    return user


@admin.operation(
    "users-unlock",
    "POST",
    f"{PATH}/<int:id>/unlock",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=USER,
)
def unlock(tenant: int, id: int) -> User:
    """End the lock of a user before its time."""
    user = people.unlock(database(), acting(WRITE, tenant), id)
    database().commit()
    return user


@admin.operation(
    "users-reset-link",
    "POST",
    f"{PATH}/<int:id>/reset-link",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=USER,
)
def reset_link(tenant: int, id: int) -> User:
    """Mail a link for a new password to a person."""
    user = administration.send_reset_link(database(), acting(WRITE, tenant), id, current_language())
    database().commit()
    return user


@admin.operation(
    "users-sign-out",
    "POST",
    f"{PATH}/<int:id>/sign-out",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=SignedOutShape(),
)
def sign_out(tenant: int, id: int) -> dict[str, int]:
    """Sign a person out everywhere."""
    ended = administration.sign_out(database(), acting(WRITE, tenant), id)
    database().commit()
    return {"ended": ended}


def _listed_tenant(actor: Actor, in_tenant: int | None) -> int | None:
    """Return whose members are listed; None: everybody."""
    if actor.reaches_all:
        return in_tenant
    if in_tenant is not None:
        raise BadRequest.at("in_tenant", "Only for tenant 1, with the permission at the platform.")
    return actor.tenant_id


def _detail(actor: Actor, user: User) -> dict[str, Any]:
    """Show a user, with those of their tenants and roles that the caller sees."""
    only = None if actor.reaches_all else actor.tenant_id
    tenant_ids, roles = people.tenants_and_roles(database(), user.id, tenant_id=only)
    return {
        **{name: getattr(user, name) for name in _AS_STORED},
        "tenants": tenant_ids,
        "roles": [{"role": code, "tenant": tenant_id} for code, tenant_id in roles],
    }
