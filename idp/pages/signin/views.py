"""The sign-in page."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import sign_in as signing_in
from idp.directory.factors import passkeys as passkey_rules
from idp.directory.policies import sign_in as sign_in_policies
from idp.directory.registration import service as registration
from idp.oauth.visitor import Visitor
from idp.pages import device, passkeys, return_path
from idp.pages.attempt import current_attempt
from idp.pages.messages import retry_message
from idp.pages.pending import (
    HOME,
    RETURN_TO,
    Authorization,
    address_within,
    destination,
    find_authorization,
    go_on,
    request_query_of,
    step_address,
)
from idp.pages.signin.forms import SignInForm
from idp.pages.visitor import current_visitor, session_cookie
from idp.platform.errors import Busy, TooManyRequests
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("signin", __name__)


@blueprint.get("/")
def home() -> Response:
    """Redirect the root to the account."""
    return redirect(HOME, 303)


@blueprint.get("/login")
def show() -> Response:
    """Show the sign-in form, or go on with the sign-in that is under way."""
    authorization = find_authorization()
    open_attempt, visitor = current_attempt(), current_visitor()
    is_other = request.args.get("account") == "other"
    if open_attempt is not None and not is_other:
        step = signing_in.due_step(database(), current_issuer(), open_attempt)
        return redirect(step_address(step, authorization, destination()), 303)
    if authorization is None and visitor is not None and not _must_sign_in(visitor):
        return redirect(destination(), 303)
    known = None if is_other else visitor
    form = SignInForm()
    if form.login.data is not None:
        pass  # sent from an expired page
    elif authorization is not None and authorization.login_hint:
        form.login.data = authorization.login_hint
    elif known is not None:
        form.login.data = known.user.username
    return login_page(form, authorization, again=known is not None)


@blueprint.post("/login")
@for_anyone
def sign_in() -> Response:
    """Check name and password; each sign-in sets a new session cookie."""
    authorization = find_authorization()
    home = destination()
    form = SignInForm()
    if not form.validate():
        if set(form.errors) == {"password"} and not form.password.data and _asks_name_first():
            return login_page(form.without_mistakes(), authorization)
        return login_page(form, authorization, status=400)
    attempt = signing_in.Attempt(
        login=form.login.data or "",
        password=form.password.data or "",
        remember=bool(form.remember.data),
        client_id=authorization.client.client_id if authorization else None,
    )
    try:
        outcome = signing_in.with_password(
            database(), current_issuer(), attempt, session_cookie(), device.sent()
        )
    except (TooManyRequests, Busy) as refusal:
        form.refuse(retry_message(refusal))
        return login_page(
            form, authorization, status=refusal.status, retry_after=refusal.retry_after
        )
    database().commit()
    if outcome is None:
        form.refuse(_("Incorrect user name or password."), "password")
        return login_page(form, authorization, status=400)
    return go_on(outcome, authorization, home)


def _asks_name_first() -> bool:
    return sign_in_policies.of_issuer(database(), current_issuer()).identifier_first


def _must_sign_in(visitor: Visitor) -> bool:
    """Return whether a page wants another sign-in: always, or because the last one is old."""
    return request.args.get("prompt") == "login" or not signing_in.is_recent(visitor)


def login_page(
    form: SignInForm,
    authorization: Authorization | None,
    *,
    status: int = 200,
    again: bool = False,
    retry_after: int | None = None,
    unknown: dict[str, str] | None = None,
) -> Response:
    """Return the sign-in page; `unknown` names a passkey that the browser should not offer."""
    issuer, owner = current_issuer(), passkeys.browser_owner()
    required = sign_in_policies.of_issuer(database(), issuer)
    # The form for an address of another site is shown, and refused when it is sent.
    home = return_path.parse(request.args.get(RETURN_TO, "")) or HOME
    response = make_response(
        render_template(
            "pages/signin/login.html",
            form=form,
            may_register=registration.is_open(database(), issuer),
            asks_name=required.identifier_first and not form.login.data,
            may_remember=required.remember_days > 0,
            request_query=request_query_of(authorization),
            client=authorization.client if authorization else None,
            site=authorization.site if authorization else None,
            handle=authorization.handle if authorization else None,
            again=again,
            notice=request.args.get("notice"),
            passkey=passkeys.written(passkey_rules.request_options(database(), issuer, owner)),
            by_password=address_within("/login", authorization, home),
            by_passkey=address_within("/login/passkey", authorization, home),
            unknown_passkey=passkeys.written(unknown),
        ),
        status,
    )
    response.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
