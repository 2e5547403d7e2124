"""The Authorization Center (授权中心): one file per module of its contract."""

from __future__ import annotations

from flask import Blueprint

from idp.api import cors
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
    """Give the routes: canonical below /api, and without the prefix."""
    return [
        cors.allowing(center.blueprint("center", "/api"), center),
        cors.allowing(center.blueprint("center_bare"), center),
    ]
