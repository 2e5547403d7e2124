"""Management APIs for programs: two agreed REST contracts and our own, on one model."""

from __future__ import annotations

from flask import Blueprint

from idp.api import admin, center, docs, sdk, userservice


def blueprints() -> list[Blueprint]:
    """Return the routes of every contract, and of the documents about them."""
    return [
        *center.blueprints(),
        *userservice.blueprints(),
        *admin.blueprints(),
        sdk.blueprint,
        docs.blueprint,
    ]
