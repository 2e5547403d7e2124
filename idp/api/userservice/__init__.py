"""The user service (用户服务): one file per subject of its contract, both versions from each."""

from __future__ import annotations

from flask import Blueprint, Response

from idp.api import cors
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
    """Give the routes of both versions."""
    first, second = versions()
    v1 = cors.allowing(first.blueprint("user_v1", PREFIX), first)
    v2 = cors.allowing(second.blueprint("user_v2", PREFIX), second)
    v2.add_url_rule(f"{SECOND_PATH}/<path:rest>", "nowhere", nowhere, methods=METHODS)
    return [v1, v2]


def nowhere(rest: str) -> Response:
    """Say in the envelope that there is nothing at an address of V2."""
    del rest
    return Enveloped().refuse(None, NotFound("There is nothing at this address"))
