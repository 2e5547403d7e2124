"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import orjson
from flask import Blueprint, Response, current_app
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp.platform.web.views import current_runtime, database

Check = Callable[[Session], bool]

EXTENSION = "idp.health"

blueprint = Blueprint("health", __name__)


class Health:
    """What is checked before traffic is sent here."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self.checks = dict(checks)
        self.stopping = threading.Event()
        """Set when the server is about to end; load balancers then look elsewhere."""


@blueprint.get("/healthz")
def healthz() -> Response:
    """Return that the process lives; nothing else is checked, so no outage restarts it."""
    return _answer("ok", {}, 200)


@blueprint.get("/readyz")
def readyz() -> Response:
    """Return whether requests can be served: `ready`, `degraded` (counts are local), or not."""
    health: Health = current_app.extensions[EXTENSION]
    found = needed()
    if health.stopping.is_set():
        return _answer("stopping", found, 503)
    if "down" in found.values():
        return _answer("not ready", found, 503)
    found |= shared()
    return _answer("degraded" if "down" in found.values() else "ready", found, 200)


def needed() -> dict[str, str]:
    """Return what must be up before traffic is sent here, each `up` or `down`."""
    health: Health = current_app.extensions[EXTENSION]
    return {name: _state(check) for name, check in health.checks.items()}


def shared() -> dict[str, str]:
    """Return whether what counts for all processes is up, where there is one."""
    runtime = current_runtime()
    if not runtime.settings.redis_url:
        return {}
    return {"redis": "up" if runtime.throttle.is_reachable() else "down"}


def _state(check: Check) -> str:
    try:
        return "up" if check(database()) else "down"
    except SQLAlchemyError:
        database().rollback()
        return "down"


def _answer(status: str, checks: Mapping[str, str], code: int) -> Response:
    body = orjson.dumps({"status": status, "checks": checks} if checks else {"status": status})
    response = Response(body, code, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
