"""The authorization request that a page is asked on behalf of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.clients.snapshot import ClientView
from idp.oauth import pending
from idp.pages import language
from idp.platform.errors import BadRequest
from idp.platform.sessions import cookie as cookies
from idp.platform.web.views import current_issuer, current_runtime, database


@dataclass(frozen=True, slots=True)
class Asking:
    """An application that waits for the person, and what it asks for."""

    handle: str
    client: ClientView
    scopes: tuple[str, ...]
    login_hint: str | None


def find_asking() -> Asking | None:
    """Give the request that the address names; None when it names none."""
    if request.args.get(language.HANDLE) is None:
        return None
    asking = find_waiting()
    if asking is None:
        raise expired()
    return asking


def find_waiting(handle: str | None = None) -> Asking | None:
    """Return the request that the address names, or a handle stands for, while it waits.

    None when it is over: a page that is of use by itself goes on without it.
    """
    handle = handle or request.args.get(language.HANDLE)
    if handle is None:
        return None
    kept = pending.read(database(), current_issuer(), "authorize", handle)
    database().commit()
    if kept is None or kept.client is None:
        return None
    language.prefer(kept.ui_locales)
    return Asking(kept.handle, kept.client, kept.scopes, kept.login_hint)


def current_asking() -> Asking:
    """Give the request that the address names; a page without one cannot be shown."""
    asking = find_asking()
    if asking is None:
        raise BadRequest(
            _("This page belongs to a sign-in. Go back to the application and start there."),
            code="request_missing",
        )
    return asking


def handle_of(asking: Asking | None) -> dict[str, Any]:
    """Return the query that makes a page belong to a request."""
    return {} if asking is None else {language.HANDLE: asking.handle}


def expired() -> BadRequest:
    """Refuse a page whose request is over."""
    return BadRequest(
        _("Please go back to the application and start again."), code="request_expired"
    )


def signed_in(asking: Asking | None, home: str, cookie: str) -> Response:
    """Hand a person who has just signed in the session; go on with the request, or to a page."""
    response = redirect(home, 303) if asking is None else resume(asking)
    settings = current_runtime().settings
    cookies.give(response, current_issuer(), cookie, settings, remember=False)
    return response


def resume(asking: Asking) -> Response:
    """Go on with the request; 303, so that no form is posted twice."""
    return redirect(f"/connect/authorize?{urlencode({pending.CONTINUE: asking.handle})}", 303)
