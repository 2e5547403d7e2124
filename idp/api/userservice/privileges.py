"""Privileges: of groups and roles, as a tree, and what an account holds in its tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from marshmallow import fields, validate

from idp.api.actor import current_actor, own
from idp.api.dialect import load, query_values
from idp.api.userservice.dialect import userservice
from idp.api.userservice.roles import MODULE, MOST, RoleCodesShape
from idp.directory.roles import authorizations, tree
from idp.directory.roles.catalogue import LONGEST_CODE
from idp.directory.roles.models import LONGEST_ROLE_NAME, Privilege
from idp.directory.roles.tree import Node
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest
from idp.platform.integers import INT64_MAX
from idp.platform.web.principal import check_permission_in
from idp.platform.web.views import database
from idp.platform.wire.shapes import Shape, int32, int64, text

MOST_OF_ROLE = 5000


class PrivilegeShape(Shape):
    """A privilege."""

    schema_name = "PrivilegeDTO"

    id = int64()
    code = text()
    name = text()
    group_id = int64(data_key="privilegeGroupId", allow_none=True)


class PrivilegeTreeShape(Shape):
    """A node of the privilege tree: a group, or a privilege with its code as id."""

    schema_name = "PrivilegeTreeDTO"

    id = text()
    name = text()
    parent_id = text()
    group = fields.Boolean()
    sort = int32()
    status = int32()
    children = fields.List(
        fields.Nested(lambda: PrivilegeTreeShape())  # noqa: PLW0108 - it has no name yet
    )


class PrivilegesByRole(fields.Dict):
    """Codes of privileges by the code of a role; null and absent mean none."""

    null_described = "in requests"


class AuthorizationShape(Shape):
    """What an account may do in one tenant, role by role."""

    schema_name = "AuthorizationInfoDTO"

    role_privilege_map = PrivilegesByRole(
        keys=text(LONGEST_ROLE_NAME),
        values=fields.List(text(LONGEST_CODE), validate=validate.Length(max=MOST_OF_ROLE)),
        allow_none=True,
        load_default=None,
        validate=validate.Length(max=MOST),
    )


class TenantIdsShape(Shape):
    """Ids of tenants."""

    tenant_ids = fields.List(
        fields.Integer(validate=validate.Range(1, INT64_MAX), metadata={"format": "int64"}),
        required=True,
        validate=validate.Length(max=MOST),
    )


TENANT_IDS = TenantIdsShape()


def first_tenant(arguments: dict[str, Any]) -> int | None:
    """Return the only tenant of the query; without one, the caller's own."""
    with suppress(BadRequest):
        tenant_ids: list[int] = load(TENANT_IDS, query_values(TENANT_IDS))["tenant_ids"]
        if tenant_ids:
            return tenant_ids[0]
    return own(arguments)


@userservice.operation(
    "listPrivilegesByGroup",
    "GET",
    "/privilege-groups/<int:privilegeGroupId>/privilege-list",
    scope=Scope.US_PRIVILEGE_LISTBYGROUP,
    module=MODULE,
    machine=True,
    result=PrivilegeShape(),
    form="list",
)
def list_by_group(privilegeGroupId: int) -> Sequence[Privilege]:
    """List all privileges of a privilege group."""
    return tree.of_group(database(), privilegeGroupId, current_actor().tenant_in_reach)


@userservice.operation(
    "listPrivilegesOfRoles",
    "GET",
    "/tenants/<int:tenantId>/roles/privilege-list",
    scope=Scope.US_PRIVILEGE_LISTBYROLES,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    query=RoleCodesShape(),
    result=PrivilegeShape(),
    form="list",
)
def list_of_roles(tenantId: int, query: Mapping[str, Any]) -> Sequence[Privilege]:
    """Get the set of privileges of several roles of a tenant."""
    return tree.of_roles(database(), tenantId, query["role_codes"])


@userservice.operation(
    "getPrivilegeTreeOfRoles",
    "GET",
    "/tenants/<int:tenantId>/roles/role-privilege-list",
    scope=Scope.US_PRIVILEGE_TREEBYROLES,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    query=RoleCodesShape(),
    result=PrivilegeTreeShape(),
)
def tree_of_roles(tenantId: int, query: Mapping[str, Any]) -> Node:
    """Get the privileges of several roles of a tenant as a tree built from the privilege groups."""
    return tree.of_roles_in_groups(database(), tenantId, query["role_codes"])


@userservice.operation(
    "getAccountAuthorizations",
    "GET",
    "/tenants/<username>/privileges",
    scope=Scope.US_PRIVILEGE_AUTHORIZATIONS,
    module=MODULE,
    machine=True,
    tenant=first_tenant,
    query=TENANT_IDS,
    result=fields.Dict(keys=fields.String(), values=fields.Nested(AuthorizationShape)),
)
def of_account(username: str, query: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Get what an account may do in several tenants.

    Tenants of which it is not a member are left out.
    """
    tenant_ids = query["tenant_ids"]
    check_permission_in(Scope.US_PRIVILEGE_AUTHORIZATIONS, tenant_ids)
    everybody = current_actor().tenant_in_reach is None
    found = authorizations.of_account(database(), username, tenant_ids, everybody=everybody)
    return {tenant_id: {"role_privilege_map": held} for tenant_id, held in found.items()}
