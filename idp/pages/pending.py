"""The authorization request that a page is asked on behalf of."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.clients.view import ClientView
from idp.oauth import service as oauth
from idp.oauth.pending import CONTINUE
from idp.pages import language
from idp.platform.errors import BadRequest, Problem
from idp.platform.web.views import database


@dataclass(frozen=True, slots=True)
class Asking:
    """An application that waits for the person, and what it asks for."""

    handle: str
    client: ClientView
    scopes: tuple[str, ...]
    login_hint: str | None


def find_asking() -> Asking | None:
    """Give the request that the address names; None when it names none."""
    handle = request.args.get(language.HANDLE)
    if handle is None:
        return None
    pending = oauth.pending(database(), handle)
    database().commit()
    if pending is None or pending.client is None:
        raise expired()
    language.prefer(pending.ui_locales)
    return Asking(pending.handle, pending.client, pending.scopes, pending.login_hint)


def current_asking() -> Asking:
    """Give the request that the address names; a page without one cannot be shown."""
    asking = find_asking()
    if asking is None:
        raise BadRequest(
            _("This page belongs to a sign-in. Go back to the application and start there."),
            code="request_missing",
        )
    return asking


def expired() -> Problem:
    """Refuse a page whose request is over."""
    problem = BadRequest(
        _("Please go back to the application and start again."), code="request_expired"
    )
    problem.title = _("This request has expired")
    return problem


def resume(asking: Asking) -> Response:
    """Go on with the request; 303, so that no form is posted twice."""
    return redirect(f"/connect/authorize?{urlencode({CONTINUE: asking.handle})}", 303)
