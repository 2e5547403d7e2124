"""What a program manages: two REST contracts on one model."""

from __future__ import annotations

from flask import Blueprint

from idp.api import center, cors, docs, sdk
from idp.api.center.dialect import center as center_dialect


def blueprints() -> list[Blueprint]:
    """Give the routes of every contract, and of the documents about them."""
    found = center.blueprints()
    for blueprint in found:
        cors.setup(blueprint, center_dialect)
    return [*found, sdk.blueprint, docs.blueprint]
