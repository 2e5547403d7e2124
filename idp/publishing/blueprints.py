"""The blueprints of this wing outside the management contracts."""

from __future__ import annotations

from flask import Blueprint

from idp.publishing.files import views as files


def blueprints() -> list[Blueprint]:
    """List everything that answers outside the management contracts."""
    return [files.blueprint]
