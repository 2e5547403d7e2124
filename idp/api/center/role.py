"""Roles: list, create, update, read, delete.

`name` is the code that programs compare, `normalizedName` the name that people read. A claim of
type `permission` grants the permission that its value names to everyone in the role.
"""

from __future__ import annotations

from typing import Any

from marshmallow import post_load

from idp.api.actor import current_actor
from idp.api.center.codes import CodeShape
from idp.api.center.dialect import Page, center
from idp.claims import registry
from idp.directory.roles import management as roles
from idp.directory.roles.management import ClaimRow, RoleSpec
from idp.directory.roles.models import LONGEST_ROLE_NAME, Role
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import KeptList, Shape, Stamp, int32, int64, optional_id, text

MOST_CLAIMS = 5000


class RoleClaimShape(Shape):
    """A claim of everyone in the role; a permission has no id of its own."""

    id = int32(minimum=0, load_default=0)
    role_id = int64(dump_only=True)
    type = text(200, minimum=1, data_key="claimType", required=True)
    value = text(2000, data_key="claimValue", required=True)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> ClaimRow:
        """Return the claim as the service takes it."""
        return ClaimRow(**data)


class RoleShape(Shape):
    """A role; claims that are absent or null are kept, an empty list clears."""

    id = int64(minimum=0, load_default=0)
    code = text(LONGEST_ROLE_NAME, data_key="name", required=True)
    name = text(LONGEST_ROLE_NAME, data_key="normalizedName", allow_none=True, load_default=None)
    concurrency_stamp = Stamp()
    claims = KeptList(RoleClaimShape, MOST_CLAIMS)
    tenant_id = optional_id(null_in_answers=True)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Add privileges to the claims."""
        if attr == "claims":
            return roles.claims(obj)
        return super().get_attribute(obj, attr, default)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> tuple[int, RoleSpec]:
        """Return the id and the role as the service takes it."""
        return data.pop("id"), RoleSpec(**data)


@center.operation("role-get", "GET", "/Role", scope=Scope.ROLE_GET, result=RoleShape(), form="list")
def list_() -> Page:
    """List roles."""
    rows = database().scalars(roles.list_query(current_actor())).all()
    return Page(rows, take=len(rows), skip=0, total=len(rows))


@center.operation(
    "role-put",
    "PUT",
    "/Role",
    scope=Scope.ROLE_PUT,
    body=RoleShape(),
    result=int64(),
    errors=("NotFound",),
)
def update(body: tuple[int, RoleSpec]) -> int:
    """Update a role."""
    role = roles.replace(database(), current_actor(), *body, reserved_claims=registry.RESERVED)
    database().commit()
    return role.id


@center.operation(
    "role-post", "POST", "/Role", scope=Scope.ROLE_POST, body=RoleShape(), result=int64()
)
def create(body: tuple[int, RoleSpec]) -> int:
    """Create a role."""
    _, spec = body
    role = roles.create(database(), current_actor(), spec, reserved_claims=registry.RESERVED)
    database().commit()
    return role.id


@center.operation(
    "role-detail",
    "GET",
    "/Role/<int:id>",
    scope=Scope.ROLE_DETAIL,
    result=RoleShape(),
    errors=("NotFound",),
)
def detail(id: int) -> Role:
    """Read a role."""
    return roles.get(database(), current_actor(), id)


@center.operation(
    "role-delete",
    "DELETE",
    "/Role/<int:id>",
    scope=Scope.ROLE_DELETE,
    result=int64(),
    errors=("NotFound",),
)
def delete(id: int) -> int:
    """Delete a role."""
    roles.delete(database(), current_actor(), id)
    database().commit()
    return id


@center.operation("role-codes", "GET", "/Role/Codes", result=CodeShape(), form="bare")
def codes() -> list[Any]:
    """Error codes of the role module."""
    return []
