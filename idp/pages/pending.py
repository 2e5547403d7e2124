"""The pending authorization request that a page belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account.sign_in import Outcome
from idp.directory.authentication.steps import Step
from idp.directory.clients.snapshot import ClientView
from idp.oauth import pending
from idp.pages import attempt, brand, device, language, return_path
from idp.platform.errors import BadRequest
from idp.platform.sessions import cookie as cookies
from idp.platform.web.views import current_issuer, current_runtime, database

HOME = "/account"
RETURN_TO = "return_to"
"""Query parameter of the page that follows a sign-in."""
PAGES = {
    Step.FIRST: "/login",
    Step.SECOND: "/login/factor",
    Step.CODE: "/login/code",
    Step.ENROL: "/login/enrol",
    Step.PASSWORD: "/login/password",
    Step.VERIFY: "/login/verify",
    Step.DONE: "/login/done",
}


@dataclass(frozen=True, slots=True)
class Authorization:
    """A pending authorization request: its application and what it requests."""

    handle: str
    client: ClientView
    scopes: tuple[str, ...]
    login_hint: str | None
    site: str | None
    """The host that receives the answer; None: an application on the person's own device."""
    is_of_device: bool = False
    """Whether the answer goes to another device, which has no browser."""


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
    return Authorization(
        kept.handle, kept.client, kept.scopes, kept.login_hint, kept.site, kept.is_of_device
    )


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


def destination() -> str:
    """Return the page that requires the sign-in; refuse external addresses."""
    return_to = request.args.get(RETURN_TO)
    if return_to is None:
        return HOME
    found = return_path.parse(return_to)
    if found is None:
        raise BadRequest(_("The return address does not belong to this site."))
    return found


def go_on(outcome: Outcome, authorization: Authorization | None, home: str) -> Response:
    """Redirect to the page of the next step of a sign-in, with its cookie.

    When nothing is left to be proven the session cookie is set, and the request continues, or the
    page follows that required the sign-in.
    """
    if outcome.step is not Step.DONE:
        response = redirect(step_address(outcome.step, authorization, home), 303)
        if outcome.cookie is not None:
            attempt.set_cookie(response, outcome.cookie)
        return response
    response = continue_with(authorization, home)
    if outcome.cookie is not None:
        settings = current_runtime().settings
        cookies.set_session(
            response, current_issuer(), outcome.cookie, settings, remember=outcome.remember
        )
    if outcome.device is not None:
        device.set_cookie(response, outcome.device)
    attempt.delete_cookie(response)
    return response


def continue_with(authorization: Authorization | None, home: str) -> Response:
    """Continue the request, or redirect to the page that required the sign-in."""
    return redirect(home, 303) if authorization is None else resume(authorization)


def step_address(step: Step, authorization: Authorization | None, home: str) -> str:
    """Return the address of the page of a step, with what follows the sign-in."""
    return address_within(PAGES[step], authorization, home)


def address_within(path: str, authorization: Authorization | None, home: str, **more: str) -> str:
    """Return the address of a page of a sign-in, with what follows the sign-in."""
    query = {**request_query_of(authorization), **more}
    if authorization is None and home != HOME:
        query[RETURN_TO] = home
    return f"{path}?{urlencode(query)}" if query else path


def resume(authorization: Authorization) -> Response:
    """Redirect to the request; by 303, so that no form is posted twice."""
    return redirect(
        f"/connect/authorize?{urlencode({pending.CONTINUE: authorization.handle})}", 303
    )
