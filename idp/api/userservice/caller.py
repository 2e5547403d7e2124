"""Who calls, and which tenants are in reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from idp.api.shapes import INT64
from idp.directory.roles import service as roles
from idp.platform.errors import Forbidden
from idp.platform.web.principal import Principal, current_principal
from idp.platform.web.views import current_visit, database


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

    def needs_administrator(self) -> None:
        """Refuse everybody but the platform."""
        if not self.is_administrator:
            raise Forbidden("Only the platform may do this")


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


def in_body(member: str) -> Callable[[dict[str, Any]], int | None]:
    """Say of an operation that its body names the tenant; where it names none, the platform.

    The gate comes before the shape: what is no tenant's id needs the right of the platform.
    """

    def read(_arguments: dict[str, Any]) -> int | None:
        try:
            body = orjson.loads(current_visit().body)
        except orjson.JSONDecodeError:
            return None
        found = body.get(member) if isinstance(body, dict) else None
        if type(found) is not int:
            return None
        return min(max(found, 0), INT64)

    return read
