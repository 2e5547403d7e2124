"""Policies of tenants: read and replaced."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load, pre_load

from idp.api.actor import acting, tenant_below_platform
from idp.api.admin.dialect import AdminShape, Tagged, admin
from idp.directory.policies import management as policies
from idp.directory.policies.management import PolicyState
from idp.directory.policies.rules import COLUMNS, PolicySpec
from idp.directory.scopes import Scope
from idp.platform.integers import INT32_MAX
from idp.platform.web.views import database
from idp.platform.wire.shapes import boolean, int32

PATH = "/tenants/<int:tenant>/policy"
READ, WRITE = Scope.ADMIN_POLICY_READ, Scope.ADMIN_POLICY_WRITE


def _number() -> fields.Integer:
    """Return a field that the service checks, or none."""
    return int32(minimum=0, maximum=INT32_MAX, allow_none=True, load_default=None)


class RequiredPolicyShape(AdminShape):
    """What applies to the people of a tenant."""

    schema_name = "RequiredPolicy"

    password_length = int32(dump_only=True)
    password_classes = int32(dump_only=True)
    password_history = int32(dump_only=True)
    password_expiry_days = int32(dump_only=True)
    password_must_change = boolean(dump_only=True)


class PolicyShape(AdminShape):
    """What a tenant requires of passwords; null: what the platform requires."""

    schema_name = "Policy"

    password_length = _number()
    password_classes = _number()
    password_history = _number()
    password_expiry_days = _number()
    password_must_change = boolean(allow_none=True, load_default=None)
    required = fields.Nested(RequiredPolicyShape, dump_only=True)

    @pre_load
    def as_read(self, data: Any, **_: Any) -> Any:
        """Drop what an answer has beside the values, so that it can be sent back."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name != "required"}

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> PolicySpec:
        """Return the policy as the service takes it."""
        return PolicySpec(**data)


POLICY = PolicyShape()


@admin.operation(
    "policy-get",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_below_platform(READ),
    result=POLICY,
)
def detail(tenant: int) -> Tagged:
    """Read the policy of a tenant."""
    return _tagged(policies.get(database(), acting(READ, tenant), tenant))


@admin.operation(
    "policy-replace",
    "PUT",
    PATH,
    scope=WRITE,
    tenant=tenant_below_platform(WRITE),
    body=POLICY,
    result=POLICY,
)
def replace(tenant: int, body: PolicySpec, stamp: str | None) -> Tagged:
    """Replace the policy of a tenant."""
    state = policies.replace(database(), acting(WRITE, tenant), tenant, body, stamp=stamp)
    database().commit()
    return _tagged(state)


def _tagged(state: PolicyState) -> Tagged:
    values = {name: getattr(state.row, name) for name in COLUMNS}
    return Tagged({**values, "required": state.required}, state.row.concurrency_stamp)
