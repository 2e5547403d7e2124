"""The one signed cookie that Flask keeps: what ties a form to the browser that asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from idp.platform.web.visit import ENVIRON_KEY

if TYPE_CHECKING:
    from idp.platform.web.visit import Visit


class FormCookie(SecureCookieSessionInterface):
    """Flask's signed cookie, under a name of its own at each issuer; no sign-in hangs on it."""

    def get_cookie_name(self, app: Flask) -> str:
        """Name the cookie after the issuer, because cookies ignore ports."""
        visit: Visit | None = request.environ.get(ENVIRON_KEY)
        issuer = visit.issuer if visit is not None else None
        name = f"idp_form_{issuer.tenant_id}" if issuer is not None else "idp_form"
        return f"__Host-{name}" if app.config["SESSION_COOKIE_SECURE"] else name

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie; without one there is no signature to prepare for."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def setup(app: Flask) -> None:
    """Ask every form for its token."""
    app.session_interface = FormCookie()
    CSRFProtect(app)


def exempt(app: Flask, blueprint: Blueprint) -> None:
    """Leave a blueprint out: other sites post there, or bearers of tokens and never cookies."""
    cast("Any", app.extensions["csrf"]).exempt(blueprint)
