"""The Authorization Center (授权中心): one file per module of its contract."""

from __future__ import annotations

from flask import Blueprint

from idp.api.blueprints import nested
from idp.api.center import (
    apiresource,
    client,
    codegen,
    file,
    gateway,
    identityresource,
    package,
    role,
    subscription,
    tenant,
    user,
)
from idp.api.center.dialect import center

MODULES = (
    apiresource,
    gateway,
    subscription,
    package,
    client,
    codegen,
    file,
    identityresource,
    role,
    tenant,
    user,
)
"""Importing a module declares its operations; the order is that of the contract."""


def blueprints() -> list[Blueprint]:
    """Return the routes: canonical below /api, and without the prefix."""
    return [nested(center, "center", "/api"), nested(center, "center_bare")]
