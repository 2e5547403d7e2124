"""Policies of tenants and of roles: read, replaced, and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, post_load, pre_load, validate

from idp.account import policy_sessions
from idp.api.actor import acting, tenant_below_platform
from idp.api.admin.dialect import AdminShape, Tagged, admin, yes_or_no
from idp.directory.clients.addresses import LONGEST_HOST
from idp.directory.clients.models import OFF
from idp.directory.clients.snapshot import LONGEST_ID
from idp.directory.levels import MFA
from idp.directory.policies import management as policies
from idp.directory.policies.management import PolicyState, RolePolicyState
from idp.directory.policies.rules import COLUMNS, OF_ROLES, PolicySpec, RolePolicySpec
from idp.directory.resources.snapshot import LONGEST_NAME
from idp.directory.scopes import Scope
from idp.directory.tenants import strangers
from idp.directory.tenants.strangers import MOST_LISTED, StrangerSpec
from idp.platform.integers import INT32_MAX
from idp.platform.web.views import database
from idp.platform.wire.shapes import boolean, int32, int64, text

PATH = "/tenants/<int:tenant>/policy"
STRANGERS_PATH = f"{PATH}/applications"
ROLE_PATH = "/tenants/<int:tenant>/roles/<int:role>/policy"
READ, WRITE = Scope.ADMIN_POLICY_READ, Scope.ADMIN_POLICY_WRITE
BESIDE = frozenset({"required", "sessions"})
"""Members of an answer beside what is set."""
MOST = 10
"""Values of a list; the service refuses fewer."""


def _number() -> fields.Integer:
    """Return a field that the service checks, or none."""
    return int32(minimum=0, maximum=INT32_MAX, allow_none=True, load_default=None)


def _words() -> fields.List[str]:
    """Return a field of words that the service checks, or none."""
    return fields.List(
        text(20), validate=validate.Length(max=MOST), allow_none=True, load_default=None
    )


def _texts(longest: int) -> fields.List[str]:
    """Return a field of names; the service checks what they are."""
    return fields.List(text(longest), validate=validate.Length(max=MOST_LISTED), load_default=list)


class RequiredPolicyShape(AdminShape):
    """What applies to the people of a tenant."""

    schema_name = "RequiredPolicy"

    password_length = int32(dump_only=True)
    password_classes = int32(dump_only=True)
    password_history = int32(dump_only=True)
    password_expiry_days = int32(dump_only=True)
    password_must_change = boolean(dump_only=True)
    breached_at_sign_in = text(dump_only=True)
    identifier_first = boolean(dump_only=True)
    second_factor = text(dump_only=True)
    level = text(dump_only=True)
    factors = fields.List(text(), dump_only=True)
    grace_days = int32(dump_only=True)
    level_minutes = int32(dump_only=True)
    device_days = int32(dump_only=True)
    session_hours = int32(dump_only=True)
    remember_days = int32(dump_only=True)
    idle_minutes = int32(dump_only=True)
    max_sessions = int32(dump_only=True)
    verify = fields.List(text(), dump_only=True)


class PolicySessionsShape(AdminShape):
    """Live sessions below the level that a policy requires."""

    schema_name = "PolicySessions"

    ended = int32(dump_only=True)
    remaining = int32(dump_only=True)


class ReplaceQuery(AdminShape):
    """What else is done."""

    end_sessions = yes_or_no()


class PolicyShape(AdminShape):
    """What a tenant requires of its people; null: what the platform requires."""

    schema_name = "Policy"

    password_length = _number()
    password_classes = _number()
    password_history = _number()
    password_expiry_days = _number()
    password_must_change = boolean(allow_none=True, load_default=None)
    breached_at_sign_in = text(20, allow_none=True, load_default=None)
    identifier_first = boolean(allow_none=True, load_default=None)
    second_factor = text(20, allow_none=True, load_default=None)
    level = text(20, allow_none=True, load_default=None)
    factors = _words()
    grace_days = _number()
    level_minutes = _number()
    device_days = _number()
    session_hours = _number()
    remember_days = _number()
    idle_minutes = _number()
    max_sessions = _number()
    verify = _words()
    exempt_user_ids = fields.List(
        int64(minimum=1), validate=validate.Length(max=MOST), allow_none=True, load_default=None
    )
    required = fields.Nested(RequiredPolicyShape, dump_only=True)
    sessions = fields.Nested(PolicySessionsShape, dump_only=True, allow_none=True)

    @pre_load
    def as_read(self, data: Any, **_: Any) -> Any:
        """Drop what an answer has beside the values, so that it can be sent back."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name not in BESIDE}

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> PolicySpec:
        """Return the policy as the service takes it."""
        return PolicySpec(**data)


class RolePolicyShape(AdminShape):
    """What is required of those who have a role; null: what the tenant requires."""

    schema_name = "RolePolicy"

    second_factor = text(20, allow_none=True, load_default=None)
    level = text(20, allow_none=True, load_default=None)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> RolePolicySpec:
        """Return the policy as the service takes it."""
        return RolePolicySpec(**data)


class StrangerPolicyShape(AdminShape):
    """Which applications an issuer lets in that nobody registered."""

    schema_name = "StrangerPolicy"

    clients_by_document = text(10, load_default=OFF)
    clients_by_document_hosts = _texts(LONGEST_HOST)
    clients_by_document_blocked = _texts(LONGEST_ID)
    clients_by_registration = text(10, load_default=StrangerSpec().clients_by_registration)
    stranger_scopes = _texts(LONGEST_NAME)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> StrangerSpec:
        """Return the policy as the service takes it."""
        return StrangerSpec(**data)


POLICY, ROLE_POLICY, STRANGERS = PolicyShape(), RolePolicyShape(), StrangerPolicyShape()


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
    level=MFA,
    query=ReplaceQuery(),
    body=POLICY,
    result=POLICY,
)
def replace(tenant: int, query: Mapping[str, Any], body: PolicySpec, stamp: str | None) -> Tagged:
    """Replace the policy of a tenant, and end the sessions that it does not admit any more."""
    actor = acting(WRITE, tenant)
    state = policies.replace(database(), actor, tenant, body, stamp=stamp)
    sessions = None
    if query["end_sessions"]:
        ended = policy_sessions.end(database(), actor, tenant)
        remaining = policy_sessions.count(database(), actor, tenant)
        sessions = {"ended": ended, "remaining": remaining}
    database().commit()
    return _tagged(state, sessions)


@admin.operation(
    "policy-role-get",
    "GET",
    ROLE_PATH,
    scope=READ,
    tenant=tenant_below_platform(READ),
    result=ROLE_POLICY,
)
def detail_of_role(tenant: int, role: int) -> Tagged:
    """Read the policy of a role."""
    return _tagged_role(policies.get_of_role(database(), acting(READ, tenant), role))


@admin.operation(
    "policy-role-replace",
    "PUT",
    ROLE_PATH,
    scope=WRITE,
    tenant=tenant_below_platform(WRITE),
    level=MFA,
    body=ROLE_POLICY,
    result=ROLE_POLICY,
)
def replace_of_role(tenant: int, role: int, body: RolePolicySpec, stamp: str | None) -> Tagged:
    """Replace the policy of a role."""
    actor = acting(WRITE, tenant)
    state = policies.replace_of_role(database(), actor, role, body, stamp=stamp)
    database().commit()
    return _tagged_role(state)


@admin.operation(
    "policy-role-delete",
    "DELETE",
    ROLE_PATH,
    scope=WRITE,
    tenant=tenant_below_platform(WRITE),
    level=MFA,
    form="empty",
)
def remove_of_role(tenant: int, role: int, stamp: str | None) -> None:
    """Delete the policy of a role."""
    policies.remove_of_role(database(), acting(WRITE, tenant), role, stamp=stamp)
    database().commit()


@admin.operation(
    "policy-applications-get",
    "GET",
    STRANGERS_PATH,
    scope=READ,
    tenant=tenant_below_platform(READ),
    result=STRANGERS,
)
def detail_of_strangers(tenant: int) -> Tagged:
    """Read which applications an issuer lets in that nobody registered."""
    row = strangers.get(database(), acting(READ, tenant), tenant)
    return Tagged(row, row.concurrency_stamp)


@admin.operation(
    "policy-applications-replace",
    "PUT",
    STRANGERS_PATH,
    scope=WRITE,
    tenant=tenant_below_platform(WRITE),
    level=MFA,
    body=STRANGERS,
    result=STRANGERS,
)
def replace_of_strangers(tenant: int, body: StrangerSpec, stamp: str | None) -> Tagged:
    """Replace which applications an issuer lets in that nobody registered."""
    row = strangers.replace(database(), acting(WRITE, tenant), tenant, body, stamp=stamp)
    database().commit()
    return Tagged(row, row.concurrency_stamp)


def _tagged_role(state: RolePolicyState) -> Tagged:
    values = {name: getattr(state.row, name) for name in OF_ROLES}
    return Tagged(values, state.row.concurrency_stamp)


def _tagged(state: PolicyState, sessions: Mapping[str, int] | None = None) -> Tagged:
    values = {name: getattr(state.row, name) for name in COLUMNS}
    shown = {**values, "required": state.required, "sessions": sessions}
    return Tagged(shown, state.row.concurrency_stamp)
