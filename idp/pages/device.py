"""The cookie by which a browser is known again at later sign-ins."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from idp.account.devices import Sent
from idp.directory.devices import service as devices
from idp.pages import agents, language
from idp.platform.web.views import current_issuer


def sent() -> Sent:
    """Return what the browser sent with a sign-in."""
    browser, system = agents.describe(request.user_agent.string)
    name = ", ".join(part for part in (browser, system) if part is not None) or "-"
    return Sent(cookie(), language.current().code, name)


def cookie() -> str | None:
    """Return the cookie of the device at this issuer."""
    return request.cookies.get(devices.cookie_name(current_issuer()))


def set_cookie(response: Response, value: str) -> None:
    """Set the cookie of a device; the browser keeps it for as long as the device is known."""
    issuer = current_issuer()
    response.set_cookie(
        devices.cookie_name(issuer),
        value,
        max_age=int(devices.KEPT.total_seconds()),
        path="/",
        secure=issuer.is_secure,
        httponly=True,
        samesite="Lax",
    )
