"""Our own management API (管理接口), at `/admin/v1`: one file per module."""

from __future__ import annotations

from flask import Blueprint

from idp.api.admin import (
    apis,
    audit,
    branding,
    bundles,
    clients,
    consents,
    devices,
    explain,
    factors,
    files,
    gateway,
    grants,
    jobs,
    keys,
    menus,
    messages,
    overview,
    policy,
    privileges,
    registrationtokens,
    sessions,
    settings,
    tenanttypes,
    users,
)
from idp.api.admin.dialect import PREFIX, admin
from idp.api.blueprints import nested

MODULES = (
    overview,
    clients,
    apis,
    registrationtokens,
    users,
    factors,
    sessions,
    grants,
    consents,
    devices,
    branding,
    policy,
    audit,
    privileges,
    tenanttypes,
    bundles,
    menus,
    messages,
    jobs,
    keys,
    settings,
    explain,
    gateway,
    files,
)
"""Importing a module declares its operations; the order is that of the document."""


def blueprints() -> list[Blueprint]:
    """Return the routes."""
    return [nested(admin, "admin", PREFIX)]
