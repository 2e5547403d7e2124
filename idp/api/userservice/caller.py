"""Who calls, and which tenants are in reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from idp.directory.roles import service as roles
from idp.platform.integers import INT64_MAX
from idp.platform.web.principal import Principal, current_principal
from idp.platform.web.views import current_visit, database

Touched = Callable[[dict[str, Any]], int | None]
"""Tells from the values of a path which tenant an operation touches; None: no one tenant."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The person or the machine behind the token."""

    principal: Principal
    is_administrator: bool
    """Administrator of the platform (with a token of issuer 1), or a machine of the platform."""

    @property
    def tenant_id(self) -> int | None:
        """The one tenant in reach; None: all."""
        return None if self.is_administrator else self.principal.own_tenant_id


def current_caller() -> Caller:
    """Tell who calls this operation."""
    principal = current_principal()
    if principal.client_tenant_id is not None:
        return Caller(principal, is_administrator=False)
    if principal.user_id is None:
        return Caller(principal, is_administrator=True)
    is_administrator = principal.at_platform and roles.is_platform_administrator(
        database(), principal.user_id
    )
    return Caller(principal, is_administrator)


def platform(_arguments: dict[str, Any]) -> None:
    """Say of an operation that it touches no one tenant: the right must be the platform's."""


def own(_arguments: dict[str, Any]) -> int | None:
    """Say of an operation that it touches the tenant that the token is for."""
    return current_principal().own_tenant_id


def in_body(member: str, *, otherwise: Touched = platform) -> Touched:
    """Say of an operation that its body names the tenant; where it names none, another rule."""

    def read(arguments: dict[str, Any]) -> int | None:
        found = unverified_body().get(member)
        if type(found) is not int or found == 0:  # 0 is no tenant
            return otherwise(arguments)
        return min(max(found, 0), INT64_MAX)

    return read


def unverified_body() -> dict[str, Any]:
    """Look into the body before it is checked: who may call depends on what it names."""
    try:
        content = orjson.loads(current_visit().body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
