"""Roles of tenants: create, update, delete, set privileges, bind to accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from marshmallow import fields, post_load, validate

from idp.api.actor import current_actor, own
from idp.api.dialect import load, load_json
from idp.api.userservice.dialect import userservice
from idp.api.userservice.shapes import Words
from idp.directory.roles import tenant_roles as roles
from idp.directory.roles.catalogue import LONGEST_CODE
from idp.directory.roles.models import LONGEST_ROLE_NAME
from idp.directory.roles.tenant_roles import RoleView, TenantRoleSpec
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest
from idp.platform.web.views import database
from idp.platform.wire.shapes import Shape, boolean, optional_id, text

MODULE = "roles-privileges"
MOST = 500
"""Values that a list in the query may have."""

_FEW = validate.Length(max=MOST)


class RoleCodesShape(Shape):
    """Codes of roles."""

    role_codes = fields.List(text(LONGEST_ROLE_NAME), required=True, validate=_FEW)


class PrivilegeCodesShape(Shape):
    """Codes of privileges; an empty value is none at all."""

    privilege_codes = fields.List(text(LONGEST_CODE), required=True, validate=_FEW)


class RoleShape(Shape):
    """A role; one operation returns its privileges, and none accepts them."""

    schema_name = "RoleDTO"

    id = optional_id()
    code = Words(LONGEST_ROLE_NAME)
    name = text(LONGEST_ROLE_NAME, minimum=1, required=True)
    tenant_id = optional_id()
    privilege_codes = fields.List(fields.String(), dump_only=True)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> TenantRoleSpec:
        """Return the role as the service takes it."""
        return TenantRoleSpec(**data)


ROLE = RoleShape()


def tenant_of_body(arguments: dict[str, Any]) -> int | None:
    """Return the tenant of the role in the body; without one, the caller's own."""
    tenant_id = None
    with suppress(BadRequest):
        tenant_id = roles.find_tenant(database(), load(ROLE, load_json()))
    return tenant_id or own(arguments)


@userservice.operation(
    "listRolesByCodes",
    "GET",
    "/roles/tenants/<int:tenantId>",
    scope=Scope.US_ROLE_LISTBYCODES,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    query=RoleCodesShape(),
    result=ROLE,
    form="list",
)
def list_by_codes(tenantId: int, query: Mapping[str, Any]) -> Sequence[RoleView]:
    """Get roles of a tenant by role code, without privileges."""
    return roles.list_by_codes(database(), tenantId, query["role_codes"])


@userservice.operation(
    "updateTenantRole",
    "PUT",
    "/tenants/roles",
    scope=Scope.US_ROLE_UPDATE,
    module=MODULE,
    machine=True,
    tenant=tenant_of_body,
    body=ROLE,
    result=boolean(),
)
def update(body: TenantRoleSpec) -> bool:
    """Update a role of a tenant, without its privileges.

    It is found by `id`, else by `tenantId` and `code`; both cannot be changed.
    """
    roles.rename(database(), current_actor().within(roles.get_tenant(database(), body)), body)
    database().commit()
    return True


@userservice.operation(
    "listTenantRoles",
    "GET",
    "/tenants/<int:tenantId>/roles",
    scope=Scope.US_ROLE_LIST,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    result=ROLE,
    form="list",
)
def list_(tenantId: int) -> Sequence[RoleView]:
    """List the roles of a tenant, not paged, without privileges."""
    return roles.list_all(database(), tenantId)


@userservice.operation(
    "createTenantRole",
    "POST",
    "/tenants/<int:tenantId>/roles",
    scope=Scope.US_ROLE_CREATE,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    body=ROLE,
    result=boolean(),
    errors=("role_taken",),
)
def create(tenantId: int, body: TenantRoleSpec) -> bool:
    """Create a role in a tenant, without privileges."""
    roles.create(database(), current_actor().within(tenantId), body)
    database().commit()
    return True


@userservice.operation(
    "deleteTenantRole",
    "DELETE",
    "/tenants/<int:tenantId>/roles/<roleCode>",
    scope=Scope.US_ROLE_REMOVE,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    result=boolean(),
    errors=("role_bound",),
)
def remove(tenantId: int, roleCode: str) -> bool:
    """Delete a role of a tenant by code; refused while an account is bound to it."""
    roles.remove(database(), current_actor().within(tenantId), roleCode)
    database().commit()
    return True


@userservice.operation(
    "setRolePrivileges",
    "PUT",
    "/tenants/<int:tenantId>/roles/<roleCode>/privileges",
    scope=Scope.US_ROLE_SETPRIVILEGES,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    query=PrivilegeCodesShape(),
    result=boolean(),
    errors=("unknown_privilege",),
)
def set_privileges(tenantId: int, roleCode: str, query: Mapping[str, Any]) -> bool:
    """Set the privileges of a role: clear, then set.

    An empty value clears. The caller must be able to grant new privileges, and the tenant's
    bundle must have them.
    """
    roles.set_privileges(
        database(), current_actor().within(tenantId), roleCode, query["privilege_codes"]
    )
    database().commit()
    return True


@userservice.operation(
    "getTenantRoleWithPrivileges",
    "GET",
    "/tenants/<int:tenantId>/roles/<roleCode>/role-privilege",
    scope=Scope.US_ROLE_INFO,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    result=ROLE,
)
def detail(tenantId: int, roleCode: str) -> RoleView:
    """Get a role of a tenant with its privileges."""
    return roles.show(database(), tenantId, roleCode)


@userservice.operation(
    "bindAccountRoles",
    "POST",
    "/bind/tenants/<int:tenantId>/accounts/<username>/roles",
    scope=Scope.US_ROLE_BIND,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    query=RoleCodesShape(),
    result=boolean(),
    errors=("unknown_role", "overreach", "conflict"),
)
def bind(tenantId: int, username: str, query: Mapping[str, Any]) -> bool:
    """Bind roles to an account in a tenant.

    The caller must be able to grant their privileges, and the tenant's bundle must have them.
    """
    roles.bind(database(), current_actor().within(tenantId), username, query["role_codes"])
    database().commit()
    return True


@userservice.operation(
    "unbindAccountRoles",
    "PUT",
    "/unbind/tenants/<int:tenantId>/accounts/<username>/roles",
    scope=Scope.US_ROLE_UNBIND,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    query=RoleCodesShape(),
    result=boolean(),
    errors=("unknown_role",),
)
def unbind(tenantId: int, username: str, query: Mapping[str, Any]) -> bool:
    """Unbind roles from an account in a tenant."""
    roles.unbind(database(), tenantId, username, query["role_codes"])
    database().commit()
    return True
