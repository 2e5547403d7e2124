"""The cookie that carries a browser session."""

from __future__ import annotations

from werkzeug.wrappers import Response

from idp.config import Settings
from idp.platform.issuer import Issuer
from idp.platform.sessions.service import cookie_name

DAY = 86_400


def give(
    response: Response, issuer: Issuer, value: str, settings: Settings, *, remember: bool
) -> None:
    """Hand the browser its session; without `remember` it forgets it when it closes."""
    response.set_cookie(
        cookie_name(issuer),
        value,
        max_age=settings.remember_days * DAY if remember else None,
        path="/",
        secure=issuer.is_secure,
        httponly=True,
        samesite="Lax",
    )


def take(response: Response, issuer: Issuer) -> None:
    """Make the browser forget its session."""
    response.delete_cookie(
        cookie_name(issuer), path="/", secure=issuer.is_secure, httponly=True, samesite="Lax"
    )
