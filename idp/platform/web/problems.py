"""How a refusal looks on the wire: one renderer for each surface, and the one of last resort."""

from __future__ import annotations

import orjson
import structlog
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from idp.platform.errors import (
    BadRequest,
    OAuthError,
    Problem,
    Unauthenticated,
    Unavailable,
)
from idp.platform.translation import N_
from idp.platform.web import plain
from idp.platform.web.visit import Answer

log = structlog.get_logger("idp.problems")

NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))

_OAUTH_CODES = {
    400: "invalid_request",
    401: "invalid_token",
    403: "insufficient_scope",
    405: "invalid_request",
    408: "invalid_request",
    413: "invalid_request",
    414: "invalid_request",
    422: "invalid_request",
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}
# RFC 6749 5.2: no control characters, no double quote, no backslash.
_DESCRIPTION = dict.fromkeys((*range(32), 127), "?") | {ord('"'): "'", ord("\\"): "/"}

_AWAY = ("locked", "connect", "canceling statement", "disk", "readonly", "unable to open")
"""Parts of messages without SQLSTATE: of psycopg, and of SQLite with a full or broken disk."""
_PASSING_CLASSES = ("08", "40", "53", "57")
"""Connection lost, deadlock or conflict, resources exhausted, operator intervened."""
_PASSING_STATES = frozenset({"25006", "55P03"})
"""A primary that was demoted, a lock that was not to be had."""
_LOST_BEFORE = "8s2b"
"""SQLAlchemy: the connection was lost earlier in the transaction."""


def oauth_json(problem: Problem) -> Answer:
    """Render as RFC 6749 5.2 and RFC 6750 3 ask."""
    code = problem.code if isinstance(problem, OAuthError) else _oauth_code(problem)
    body = orjson.dumps(
        {"error": code, "error_description": _description(problem.detail)},
    )
    headers = (("Content-Type", "application/json"), *NO_STORE, *problem.headers.items())
    return Answer(problem.status, _with_challenge(headers, problem, code), body)


def problem_json(problem: Problem, request_id: str, *, fields_as: str = "errors") -> Answer:
    """Render as RFC 9457 problem details; `fields_as` names the member for invalid fields."""
    content: dict[str, object] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.fields:
        content[fields_as] = problem.fields
    headers = (
        ("Content-Type", "application/problem+json"),
        ("Cache-Control", "no-store"),
        *problem.headers.items(),
    )
    return Answer(
        problem.status, _with_challenge(headers, problem, problem.code), orjson.dumps(content)
    )


def plain_page(problem: Problem, request_id: str, accept_language: str = "") -> Answer:
    """Render a page without template or tenant: it must work when nothing else does."""
    return plain.page(problem, request_id, accept_language)


def from_exception(error: Exception, request_id: str) -> Problem:
    """Name what went wrong; whatever has no name is logged with its trace and shown without."""
    if isinstance(error, Problem):
        if error.debug:
            log.info(
                "request_refused", problem=error.code, debug=error.debug, request_id=request_id
            )
        return error
    if _is_away(error):
        log.error("database_unreachable", request_id=request_id, error=type(error).__name__)
        return Unavailable(
            N_("The database does not answer; try again"), headers={"Retry-After": "1"}
        )
    if isinstance(error, (DataError, OverflowError)):
        # A number or text that no column of ours can hold: nothing that the caller could mean.
        log.warning("value_out_of_range", request_id=request_id, error=type(error).__name__)
        return BadRequest(N_("A value is out of range"))
    log.error("request_failed", request_id=request_id, exc_info=error)
    return Problem(N_("Something went wrong here; the request id helps to find out what"))


def _is_away(error: Exception) -> bool:
    """Return whether a failure says nothing about the statement, which may do better later."""
    if isinstance(error, PendingRollbackError):
        return error.code == _LOST_BEFORE
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError)
    state = getattr(error.orig, "sqlstate", None) or ""
    if error.connection_invalidated or state in _PASSING_STATES:
        return True
    if state:
        return state.startswith(_PASSING_CLASSES)
    # psycopg raises OperationalError for a connection that is refused, SQLite for its file.
    return isinstance(error, OperationalError) and any(word in str(error.orig) for word in _AWAY)


def _oauth_code(problem: Problem) -> str:
    return _OAUTH_CODES.get(problem.status, problem.code)


def _description(detail: str) -> str:
    return detail.translate(_DESCRIPTION).encode("ascii", "replace").decode()


def _with_challenge(
    headers: tuple[tuple[str, str], ...], problem: Problem, code: str
) -> tuple[tuple[str, str], ...]:
    """Add `WWW-Authenticate` where RFC 9110 15.5.2 demands it and it is not set yet."""
    if problem.status != Unauthenticated.status or "WWW-Authenticate" in problem.headers:
        return headers
    challenge = "Basic" if code == "invalid_client" else "Bearer"
    suffix = f', error="{code}"' if code == "invalid_token" else ""
    return (*headers, ("WWW-Authenticate", f'{challenge} realm="idp"{suffix}'))
