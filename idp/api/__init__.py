"""What a program manages: two REST contracts on one model."""

from __future__ import annotations

from flask import Blueprint

from idp.api import center


def blueprints() -> list[Blueprint]:
    """Give the routes of every contract."""
    return center.blueprints()
