"""The sign-in that is under way in a browser, and its cookie."""

from __future__ import annotations

from flask import g, request
from werkzeug.wrappers import Response

from idp.directory.authentication import attempts
from idp.directory.authentication.attempts import OpenAttempt
from idp.platform.web.views import current_issuer, database


def current_attempt() -> OpenAttempt | None:
    """Return the sign-in under way in this browser; looked up once in a request."""
    if "attempt" not in g:
        cookie = request.cookies.get(attempts.cookie_name(current_issuer()))
        g.attempt = attempts.find(database(), current_issuer(), cookie)
    found: OpenAttempt | None = g.attempt
    return found


def has_cookie() -> bool:
    """Return whether the browser sent the cookie of an attempt, ended or not."""
    return attempts.cookie_name(current_issuer()) in request.cookies


def set_cookie(response: Response, value: str) -> None:
    """Set the cookie of an attempt; the browser keeps it for as long as the attempt lasts."""
    issuer = current_issuer()
    response.set_cookie(
        attempts.cookie_name(issuer),
        value,
        max_age=int(attempts.LIFETIME.total_seconds()),
        path="/",
        secure=issuer.is_secure,
        httponly=True,
        samesite="Lax",
    )


def delete_cookie(response: Response) -> None:
    """Delete the cookie of an attempt, if the browser has one."""
    if has_cookie():
        issuer = current_issuer()
        response.delete_cookie(
            attempts.cookie_name(issuer),
            path="/",
            secure=issuer.is_secure,
            httponly=True,
            samesite="Lax",
        )
