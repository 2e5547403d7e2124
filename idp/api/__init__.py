"""What a program manages: two REST contracts on one model."""

from __future__ import annotations

from flask import Blueprint

from idp.api import center, docs, sdk, userservice
from idp.api.center.dialect import center as center_dialect
from idp.platform.web.uploads import OVERHEAD


def blueprints() -> list[Blueprint]:
    """Give the routes of every contract, and of the documents about them."""
    return [*center.blueprints(), *userservice.blueprints(), sdk.blueprint, docs.blueprint]


def upload_limits() -> dict[str, int]:
    """Tell which addresses take more than other requests, and how many bytes.

    One limit for all, so that a file that is too large for its own address is told why.
    """
    found = [operation for operation in center_dialect.operations if operation.upload is not None]
    most = max(operation.upload.largest for operation in found if operation.upload) + OVERHEAD
    return {prefix + operation.path: most for operation in found for prefix in ("", "/api")}
