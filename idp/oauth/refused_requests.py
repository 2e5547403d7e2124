"""Which check refused a request: kept for a few days, so that a request id leads to the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import FrameType, TracebackType

import structlog

from idp.directory.clients import snapshot as clients
from idp.directory.clients.snapshot import ClientView
from idp.oauth import client_auth
from idp.oauth.models import Refusal
from idp.oauth.request import ProtocolRequest
from idp.platform import clock
from idp.platform.db import AtomicWrite, new_row
from idp.platform.errors import AuthorizationPending, OAuthError, Problem, SlowDown
from idp.platform.logs import HIDDEN
from idp.platform.metrics.declarations import REFUSALS
from idp.platform.storage import Storage

log = structlog.get_logger("idp.oauth.refused_requests")

PER_CLIENT = 10
"""Rows a minute of one worker for a client and an error; for all unknown clients together too."""
PER_WORKER = 120
"""Rows a minute of one worker in all."""
PACKAGE = "idp.oauth."
LONGEST_ID = 100
_SERVER_ERRORS = 500
_WAITING = frozenset({AuthorizationPending.code, SlowDown.code})
"""What devices are answered while their person has not answered: nothing is wrong there."""


async def keep(
    storage: Storage,
    request: ProtocolRequest,
    problem: Problem,
    client: ClientView | None = None,
) -> None:
    """Count a refusal and keep which check it was; beyond the bounds a flood costs no statement.

    `client` is the one that is known by now; else the request is asked which one it names.
    What failed instead of being refused is in the log. Nothing that goes wrong here changes the
    answer.
    """
    if problem.status >= _SERVER_ERRORS:
        return
    storage.runtime.counts.add(REFUSALS, request.path, problem.code)
    if problem.code in _WAITING:
        return
    try:
        await _keep(storage, request, problem, client or storage.caller)
    except Exception as error:  # noqa: BLE001 - the refusal is answered all the same
        log.warning("refusal_not_kept", error=type(error).__name__)


async def _keep(
    storage: Storage, request: ProtocolRequest, problem: Problem, client: ClientView | None
) -> None:
    throttle = storage.runtime.throttle
    if not throttle.allows_here("refusals", "", PER_WORKER, 60, cost=0):
        return
    name = None if client is not None else _named_client(request)
    if name is not None:
        client = await storage.look_up(clients.find, name)
    counted = "" if client is None else client.client_id
    if not throttle.allows_here("refusals", f"{problem.code} {counted}", PER_CLIENT, 60):
        return
    throttle.allows_here("refusals", "", PER_WORKER, 60)
    await storage.write(_KEEP, _values(request, problem, name, client))


_COLUMNS = (
    *("at", "request_id", "path", "error", "description", "reason", "check_name"),
    *("client_id", "client_tenant_id", "issuer_tenant_id"),
)
_KEEP = AtomicWrite(new_row(Refusal, *_COLUMNS))


def _values(
    request: ProtocolRequest, problem: Problem, name: str | None, client: ClientView | None
) -> dict[str, object]:
    return {
        "at": clock.now(),
        "request_id": request.request_id[:LONGEST_ID],
        "path": request.path[:100],
        "error": problem.code[:100],
        "description": shown(problem.detail, 500),
        "reason": None if problem.debug is None else shown(problem.debug, 200),
        "check_name": check_of(problem),
        "client_id": _written(name, client),
        "client_tenant_id": None if client is None else client.tenant_id,
        "issuer_tenant_id": request.issuer.tenant_id,
    }


def _written(name: str | None, client: ClientView | None) -> str | None:
    """Return the id of a client; what names none may be anything, a secret too."""
    if client is not None:
        return client.client_id
    return None if name is None else shown(name, 200)


def check_of(problem: BaseException) -> str | None:
    """Return the function of the protocol that refused, such as `checks.pkce.prove`."""
    found = None
    for frame in _frames(problem.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(PACKAGE):
            found = f"{module.removeprefix(PACKAGE)}.{frame.f_code.co_name}"
    return None if found is None else found[:200]


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _named_client(request: ProtocolRequest) -> str | None:
    """Return the client that a request names, proven or not."""
    if request.method == "GET":
        return dict(request.query).get("client_id")
    try:
        return client_auth.read_credentials(request).client_id
    except OAuthError:
        return dict(request.form or ()).get("client_id")


def shown(text: str, size: int) -> str:
    """Cut a text, and hide what in it may be a token, a code or a secret that was misplaced."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text[:size])
    return _RANDOM.sub(lambda found: found[0] if found[0].islower() else HIDDEN, clean)[:size]


# The shortest of our random values have 22 letters, and none of them is of small letters alone.
_RANDOM = re.compile(r"[A-Za-z0-9_=-]{22,}")
