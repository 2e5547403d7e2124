"""The user service (用户服务): one file per subject of its contract, both versions from each."""

from __future__ import annotations

from flask import Blueprint, Response

from idp.api.blueprints import nested
from idp.api.userservice import (
    accounts,
    applications,
    bundles,
    menus,
    privileges,
    roles,
    tenants,
)
from idp.api.userservice.dialect import PREFIX, SECOND_PATH, Enveloped, versions
from idp.platform.errors import NotFound

METHODS = ("GET", "POST", "PUT", "DELETE")

MODULES = (accounts, tenants, bundles, roles, privileges, applications, menus)
"""Importing a module declares its operations; the order is that of the contract."""


def blueprints() -> list[Blueprint]:
    """Return the routes of both versions."""
    first, second = versions()
    v1 = nested(first, "userservice", PREFIX)
    v2 = nested(second, "userservice_v2", PREFIX)
    v2.add_url_rule(f"{SECOND_PATH}/<path:rest>", "not_found", not_found, methods=METHODS)
    return [v1, v2]


def not_found(rest: str) -> Response:
    """Refuse an unknown address of V2 in the envelope."""
    del rest
    return Enveloped().refuse(None, NotFound("Page not found"))
