"""Light or dark: what the visitor chose, else what their system says."""

from __future__ import annotations

from flask import request
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

COOKIE = "colours"
YEAR = 365 * 86_400
CHOICES = {"system": _("As the system"), "light": _("Light"), "dark": _("Dark")}


def current() -> str:
    """Return the choice that the browser sends."""
    chosen = request.cookies.get(COOKIE, "")
    return chosen if chosen in CHOICES else "system"


def remember(response: Response, choice: str, *, secure: bool) -> None:
    """Keep a choice in the browser."""
    response.set_cookie(
        COOKIE, choice, max_age=YEAR, path="/", secure=secure, httponly=True, samesite="Lax"
    )
