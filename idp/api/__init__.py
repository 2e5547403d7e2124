"""What a program manages: two REST contracts on one model."""

from __future__ import annotations

from flask import Blueprint

from idp.api import center, docs, sdk, userservice


def blueprints() -> list[Blueprint]:
    """Give the routes of every contract, and of the documents about them."""
    return [*center.blueprints(), *userservice.blueprints(), sdk.blueprint, docs.blueprint]
