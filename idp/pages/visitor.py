"""Who sits in front of the browser, as every page asks it."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import g, redirect, request
from werkzeug.wrappers import Response

from idp.oauth import visitor as visitors
from idp.oauth.visitor import Visitor
from idp.platform.sessions import service as sessions
from idp.platform.web.views import current_issuer, database


def session_cookie() -> str | None:
    """Give the cookie that stands for the visitor's session at this issuer."""
    return request.cookies.get(sessions.cookie_name(current_issuer()))


def current_visitor() -> Visitor | None:
    """Tell who is signed in, looked up once in a request."""
    if "visitor" not in g:
        g.visitor = visitors.find(database(), current_issuer(), session_cookie())
        # Keeps `last_seen_at`, and ends the transaction: no page holds one while it hashes.
        database().commit()
    found: Visitor | None = g.visitor
    return found


def current_user_id() -> int | None:
    """Return whose forms this browser may send; None when nobody is signed in."""
    visitor = current_visitor()
    return None if visitor is None else visitor.user.id


def ask_to_sign_in(**query: str) -> Response:
    """Send to the sign-in page, from where the visitor comes back."""
    return redirect(f"/login?{urlencode(query)}" if query else "/login", 303)
