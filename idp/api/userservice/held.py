"""Privileges that callers send to read menus; people may send only their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from marshmallow import validate

from idp.api.actor import current_actor
from idp.directory import permissions
from idp.platform.errors import Overreach
from idp.platform.web.principal import current_principal
from idp.platform.web.views import database

LONGEST_PRIVILEGE = 200
MOST = 500
PRIVILEGES: dict[str, Any] = {"required": True, "validate": validate.Length(max=MOST)}
"""A list of them in the query; required, and it may be empty."""


def check_own(codes: Collection[str], field: str) -> None:
    """Refuse privileges that a user does not hold in the tenant of the token."""
    tenant_id = current_principal().tenant_id
    if tenant_id is not None:
        check_own_by_tenant({tenant_id: codes}, field)


def check_own_by_tenant(held: Mapping[int, Collection[str]], field: str) -> None:
    """Refuse privileges that a user does not hold in the named tenants; machines only render."""
    actor = current_actor()
    if actor.user_id is None or actor.is_platform_admin:
        return
    lacking = permissions.lacking_codes_by_tenant(
        database(), actor.user_id, held, platform=actor.at_platform
    )
    if lacking:
        raise Overreach.at(field, "Not all of these are privileges that you hold there.")
