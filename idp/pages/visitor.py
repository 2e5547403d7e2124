"""The person who is signed in at the browser."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import g, redirect, request
from werkzeug.wrappers import Response

from idp.oauth import visitor as visitors
from idp.oauth.visitor import Visitor
from idp.platform.sessions import cookie as cookies
from idp.platform.sessions import service as sessions
from idp.platform.web.views import current_issuer, current_runtime, database


def session_cookie() -> str | None:
    """Return the session cookie of the visitor at this issuer."""
    return request.cookies.get(sessions.cookie_name(current_issuer()))


def current_visitor() -> Visitor | None:
    """Return who is signed in; looked up once in a request."""
    if "visitor" not in g:
        cookie = session_cookie()
        g.visitor = visitors.find(database(), current_issuer(), cookie) if cookie else None
        if cookie:
            # Stores `last_seen_at` and ends the transaction: hashing must not hold one open.
            database().commit()
    found: Visitor | None = g.visitor
    return found


def current_user_id() -> int | None:
    """Return the id of the person who is signed in, or None."""
    visitor = current_visitor()
    return None if visitor is None else visitor.user.id


def renew_session(response: Response, visitor: Visitor, value: str | None) -> None:
    """Set the new cookie of a live session; None: it ended meanwhile."""
    if value is not None:
        settings, remember = current_runtime().settings, visitor.browser.remember
        cookies.set_session(response, current_issuer(), value, settings, remember=remember)


def ask_for_second_factor(return_to: str) -> Response:
    """Redirect to the page for a second factor, which redirects back afterwards."""
    return redirect(f"/login/factor?{urlencode({'return_to': return_to})}", 303)


def ask_to_sign_in(**query: str) -> Response:
    """Redirect to the sign-in page, which redirects back afterwards."""
    return redirect(f"/login?{urlencode(query)}" if query else "/login", 303)
