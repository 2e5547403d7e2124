"""The pending authorization request that a page belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.clients.snapshot import ClientView
from idp.oauth import pending
from idp.pages import brand, language
from idp.platform.errors import BadRequest
from idp.platform.sessions import cookie as cookies
from idp.platform.web.views import current_issuer, current_runtime, database


@dataclass(frozen=True, slots=True)
class Authorization:
    """A pending authorization request: its application and what it requests."""

    handle: str
    client: ClientView
    scopes: tuple[str, ...]
    login_hint: str | None
    site: str | None
    """The host that receives the answer; None: an application on the person's own device."""


def find_authorization() -> Authorization | None:
    """Return the request named in the address, or None; raise BadRequest when it has expired."""
    if request.args.get(language.HANDLE) is None:
        return None
    authorization = find_live_authorization()
    if authorization is None:
        raise expired()
    return authorization


def find_live_authorization(handle: str | None = None) -> Authorization | None:
    """Return the pending request with a handle, by default the handle in the address.

    Return None when it has expired: some pages are also useful without a request.
    """
    handle = handle or request.args.get(language.HANDLE)
    if handle is None:
        return None
    kept = pending.read(database(), current_issuer(), "authorize", handle)
    database().commit()
    if kept is None or kept.client is None:
        return None
    language.prefer(kept.ui_locales)
    brand.show_tenant(kept.client.tenant_id)
    return Authorization(kept.handle, kept.client, kept.scopes, kept.login_hint, kept.site)


def current_authorization() -> Authorization:
    """Return the request named in the address; raise BadRequest when there is none."""
    authorization = find_authorization()
    if authorization is None:
        raise BadRequest(
            _("This page is part of a sign-in. Go back to the application and start again there."),
            code="request_missing",
        )
    return authorization


def request_query_of(authorization: Authorization | None) -> dict[str, Any]:
    """Return the query parameters that link a page to a request."""
    return {} if authorization is None else {language.HANDLE: authorization.handle}


def expired() -> BadRequest:
    """Return the refusal of a page whose request has expired."""
    return BadRequest(
        _("Please go back to the application and start again."), code="request_expired"
    )


def signed_in(authorization: Authorization | None, home: str, cookie: str) -> Response:
    """Set the session cookie after a sign-in; continue the request, or redirect to a page."""
    response = redirect(home, 303) if authorization is None else resume(authorization)
    settings = current_runtime().settings
    cookies.set_session(response, current_issuer(), cookie, settings, remember=False)
    return response


def resume(authorization: Authorization) -> Response:
    """Redirect to the request; by 303, so that no form is posted twice."""
    return redirect(
        f"/connect/authorize?{urlencode({pending.CONTINUE: authorization.handle})}", 303
    )
