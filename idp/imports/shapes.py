"""The schemas of a file; names are those of the columns, and others are refused."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema

from idp.directory.product import RESERVED_PREFIX
from idp.platform.integers import INT32_MAX
from idp.platform.wire.shapes import boolean, int32, int64, text


class Entry(Schema):
    """An entry of the file; unknown members are refused."""

    class Meta:
        """Unknown members are refused, never ignored."""

        unknown = RAISE


def code(longest: int = 100, **options: Any) -> fields.String:
    """Return the field of a code; codes of the product are refused."""

    def check(value: str) -> None:
        if value.casefold().startswith(RESERVED_PREFIX):
            message = f"Codes that begin with {RESERVED_PREFIX} are reserved for the product."
            raise ValidationError(message)

    return text(longest, minimum=1, checks=[check], **options)


def name(**options: Any) -> fields.String:
    """Return the field of a name shown to people."""
    return text(200, minimum=1, checks=[_is_printable], **options)


def _is_printable(value: str) -> None:
    if not value.isprintable() or not value.strip():
        message = "Must have printable characters only."
        raise ValidationError(message)


class TenantTypeEntry(Entry):
    """A kind of tenant."""

    code = code(required=True)
    name = name(required=True)


class TenantEntry(Entry):
    """A tenant: named for the file, and found by id or by name and type."""

    ref = text(100, minimum=1, required=True)
    id = int64(minimum=1)
    name = name()
    type = text(100, minimum=1)

    @validates_schema
    def check_key(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a tenant that is named in neither way, or in both."""
        if ("id" in data) == ("name" in data):
            message = "Name the tenant by its id, or by its name and type."
            raise ValidationError(message, "name")
        if "id" in data and "type" in data:
            message = "The type of a tenant that is named by its id cannot be changed."
            raise ValidationError(message, "type")


class ApplicationEntry(Entry):
    """An application, with the API whose tokens carry its privileges, and its clients."""

    code = code(required=True)
    name = name(required=True)
    tenant = text(100, minimum=1)
    api_resource = text(200, minimum=1, allow_none=True)
    clients = fields.List(text(200, minimum=1))


class GroupEntry(Entry):
    """A node of the privilege tree."""

    code = code(200, required=True)
    name = name(required=True)
    parent = text(200, minimum=1, allow_none=True)
    sort = int32()
    status = int32(minimum=0, maximum=1)


class PrivilegeEntry(Entry):
    """A privilege of an API, of an application (then of its API), or without an owner."""

    code = code(200, required=True)
    name = name(required=True)
    description = text(1000, allow_none=True)
    group = text(200, minimum=1, allow_none=True)
    api_resource = text(200, minimum=1, allow_none=True)
    application = text(100, minimum=1, allow_none=True)
    sort = int32()
    status = int32(minimum=0, maximum=1)

    @validates_schema
    def check_owner(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse two owners."""
        if data.get("api_resource") and data.get("application"):
            message = "Name the API or the application, not both."
            raise ValidationError(message, "application")


class BundleRoleEntry(Entry):
    """A role that tenants with the bundle get."""

    code = text(256, minimum=1, required=True)
    name = name(required=True)
    privileges = fields.List(text(200, minimum=1), load_default=list)


class BundleEntry(Entry):
    """A bundle: roles and quotas of tenants of a type."""

    code = code(required=True)
    name = name(required=True)
    tenant_type = text(100, minimum=1, required=True)
    initialize = boolean()
    comment = text(2000, allow_none=True)
    number_of_app = int32(minimum=0, maximum=INT32_MAX, allow_none=True)
    number_of_concurrent = int32(minimum=0, maximum=INT32_MAX, allow_none=True)
    number_of_invocation = int32(minimum=0, maximum=INT32_MAX, allow_none=True)
    roles = fields.List(fields.Nested(BundleRoleEntry))
    admin_roles = fields.List(text(256, minimum=1))


class MenuEntry(Entry):
    """An entry of a menu, with what is below it."""

    code = text(100, minimum=1, required=True, checks=[_is_printable])
    title = name(required=True)
    icon = text(200, allow_none=True)
    url = text(2000, allow_none=True)
    comment = text(2000, allow_none=True)
    sort = int32()
    status = int32(minimum=0, maximum=1)
    privilege = text(200, minimum=1, allow_none=True)
    # The class is not defined yet.
    children = fields.List(fields.Nested(lambda: MenuEntry()))  # noqa: PLW0108


class RootMenuEntry(MenuEntry):
    """An entry at the top of an application's menu."""

    application = text(100, minimum=1, required=True)


class PersonEntry(Entry):
    """A person with an account; without a tenant, of the platform."""

    username = text(256, minimum=1, required=True)
    email = text(256, minimum=1, allow_none=True)
    mobile = text(40, minimum=1, allow_none=True)
    email_verified = boolean()
    mobile_verified = boolean()
    nick_name = text(200, allow_none=True)
    display_name = text(200, allow_none=True)
    given_name = text(100, allow_none=True)
    middle_name = text(100, allow_none=True)
    family_name = text(100, allow_none=True)
    locale = text(20, allow_none=True)
    zoneinfo = text(64, allow_none=True)
    tenant = text(100, minimum=1)
    roles = fields.List(text(256, minimum=1))
    password_hash = fields.Raw(allow_none=True)
    """A text or an object: see `directory.users.foreign`."""
    must_change_password = boolean()


class UpstreamEntry(Entry):
    """An upstream address for APIs of a tenant; without a tenant, for those of the platform."""

    tenant = text(100, minimum=1)
    url = text(500, minimum=1, required=True)


class ProductEntry(Entry):
    """A product that clients subscribe to; without a tenant, it may contain APIs of all."""

    pid = text(80, minimum=1, required=True)
    name = name(required=True)
    tenant = text(100, minimum=1)
    description = text(2000, allow_none=True)
    terms = text(20_000, allow_none=True)
    scope = text(200, minimum=1, allow_none=True)
    subscription_required = boolean()
    subscriptions_limit = int32(minimum=0, allow_none=True)
    is_published = boolean()


class AuthorizationServerEntry(Entry):
    """An authorization server that publications name; without addresses, the tenant's issuer."""

    sid = text(80, minimum=1, required=True)
    name = name(required=True)
    tenant = text(100, minimum=1)
    description = text(2000, allow_none=True)
    authorization_endpoint = text(2000, minimum=1)
    token_endpoint = text(2000, minimum=1)
    client_registration_endpoint = text(2000, minimum=1, allow_none=True)
    default_scope = text(200, minimum=1, allow_none=True)
    client_id = text(200, minimum=1, allow_none=True)
    grant_types = fields.List(text(100, minimum=1))


class SubscriptionEntry(Entry):
    """The subscription of a client to a product."""

    product = text(80, minimum=1, required=True)
    client = text(200, minimum=1, required=True)
