"""Our own management API (管理接口), at `/admin/v1`: one file per module."""

from __future__ import annotations

from flask import Blueprint

from idp.api import cors
from idp.api.admin import explain, messages, privileges, sessions, users
from idp.api.admin.dialect import PREFIX, admin

MODULES = (users, sessions, privileges, messages, explain)
"""Importing a module declares its operations; the order is that of the document."""


def blueprints() -> list[Blueprint]:
    """Return the routes."""
    return [cors.allowing(admin.blueprint("admin", PREFIX), admin)]
