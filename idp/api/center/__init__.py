"""The Authorization Center (授权中心): one file per module of its contract."""

from __future__ import annotations

from flask import Blueprint

from idp.api.center import apiresource, client, gateway, identityresource, role, tenant, user
from idp.api.center.dialect import center

MODULES = (apiresource, gateway, client, identityresource, role, tenant, user)
"""Importing a module declares its operations; the order is that of the contract."""


def blueprints() -> list[Blueprint]:
    """Give the routes: canonical below /api, and without the prefix."""
    return [center.blueprint("center", "/api"), center.blueprint("center_bare")]
