"""The caller of an operation, and the tenant that it concerns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.tenants import service as tenants
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.principal import current_principal, holds
from idp.platform.web.views import current_visit, database

Touched = Callable[[dict[str, Any]], int | None]
"""Returns, from the values of a path, the tenant that an operation concerns; None: no one."""


def current_actor() -> Actor:
    """Return the caller of this operation."""
    principal = current_principal()
    is_platform_admin = (
        principal.user_id is not None
        and principal.at_platform
        and principal.client_tenant_id is None
        and permissions.is_platform_administrator(database(), principal.user_id)
    )
    return Actor(
        user_id=principal.user_id,
        tenant_id=principal.own_tenant_id or PLATFORM_TENANT_ID,
        is_platform_admin=is_platform_admin,
        at_platform=principal.at_platform,
        client_id=principal.client_id,
        client_row_id=principal.client_row_id,
        client_tenant_id=principal.client_tenant_id,
    )


def acting(permission: str, tenant_id: int) -> Actor:
    """Return who calls an operation on the rows of a tenant, by a permission held there or above.

    See `Actor.permitted`; the tenant must be there.
    """
    tenants.get(database(), tenant_id)
    everywhere = acts_for_platform(permission)
    return replace(
        current_actor(), tenant_id=tenant_id, permitted="platform" if everywhere else "tenant"
    )


def platform(_arguments: dict[str, Any]) -> None:
    """Return None: no single tenant is concerned, so the permission is needed at the platform."""


def own(_arguments: dict[str, Any]) -> int | None:
    """Return the tenant that the token is for."""
    return current_principal().own_tenant_id


def acts_for_platform(permission: str) -> bool:
    """Return whether the caller holds a permission at the platform and so acts in every tenant.

    A machine does where its client is of the platform.
    """
    principal = current_principal()
    if principal.client_tenant_id is not None:
        return False
    return principal.is_machine or holds(permission, None)


def tenant_or_platform(permission: str) -> Touched:
    """Return a rule: the permission is needed in the tenant of the path, or at the platform."""

    def touched(arguments: dict[str, Any]) -> int | None:
        return None if acts_for_platform(permission) else int(arguments["tenant"])

    return touched


def tenant_below_platform(permission: str) -> Touched:
    """As `tenant_or_platform`; for the platform's own tenant it is needed at the platform."""

    def touched(arguments: dict[str, Any]) -> int | None:
        if int(arguments["tenant"]) == PLATFORM_TENANT_ID:
            return None
        return tenant_or_platform(permission)(arguments)

    return touched


def in_body(member: str, *, otherwise: Touched = platform) -> Touched:
    """Return a rule that reads the tenant from the body; without one, another rule applies."""

    def read(arguments: dict[str, Any]) -> int | None:
        found = unverified_body().get(member)
        if type(found) is not int or found == 0:  # 0 is no tenant
            return otherwise(arguments)
        return min(max(found, 0), INT64_MAX)

    return read


def unverified_body() -> dict[str, Any]:
    """Return the body before it is checked: access depends on the tenant that it names."""
    try:
        content = orjson.loads(current_visit().body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
