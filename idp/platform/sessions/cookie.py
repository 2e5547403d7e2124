"""The cookie that carries a browser session."""

from __future__ import annotations

from werkzeug.wrappers import Response

from idp.config import Settings
from idp.platform.issuer import Issuer
from idp.platform.sessions.service import cookie_name

DAY = 86_400


def set_session(
    response: Response, issuer: Issuer, value: str, settings: Settings, *, remember: bool
) -> None:
    """Set the cookie of a session; without `remember` the browser drops it when it closes."""
    response.set_cookie(
        cookie_name(issuer),
        value,
        max_age=settings.remember_days * DAY if remember else None,
        path="/",
        secure=issuer.is_secure,
        httponly=True,
        samesite="Lax",
    )


def delete_session(response: Response, issuer: Issuer) -> None:
    """Delete the cookie of a session."""
    response.delete_cookie(
        cookie_name(issuer), path="/", secure=issuer.is_secure, httponly=True, samesite="Lax"
    )
