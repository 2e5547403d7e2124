"""The sign-in page."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import sign_in as signing_in
from idp.directory.registration import service as registration
from idp.oauth.visitor import Visitor
from idp.pages import return_path
from idp.pages.messages import come_back
from idp.pages.pending import Asking, find_asking, handle_of, resume
from idp.pages.signin.forms import SignInForm
from idp.pages.visitor import current_visitor, session_cookie
from idp.platform.errors import BadRequest, Busy, TooManyRequests
from idp.platform.sessions import cookie as cookies
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, current_runtime, database

HOME = "/account"

blueprint = Blueprint("signin", __name__)


@blueprint.get("/")
def home() -> Response:
    """Send a visitor without a destination to the account."""
    return redirect(HOME, 303)


@blueprint.get("/login")
def show() -> Response:
    """Show the sign-in form."""
    asking = find_asking()
    visitor = current_visitor()
    if asking is None and visitor is not None and not _must_sign_in(visitor):
        return redirect(_goal(), 303)
    form = SignInForm()
    if form.login.data is not None:
        pass  # typed into a page that expired
    elif asking is not None and asking.login_hint:
        form.login.data = asking.login_hint
    elif visitor is not None:
        form.login.data = visitor.user.username
    return _page(form, asking, again=visitor is not None)


@blueprint.post("/login")
@for_anyone
def sign_in() -> Response:
    """Take name and password; a new session cookie every time."""
    asking = find_asking()
    goal = _goal()
    form = SignInForm()
    if not form.validate():
        return _page(form, asking, status=400)
    issuer = current_issuer()
    attempt = signing_in.Attempt(
        login=form.login.data or "",
        password=form.password.data or "",
        remember=bool(form.remember.data),
        client_id=asking.client.client_id if asking else None,
    )
    try:
        value = signing_in.with_password(database(), issuer, attempt, session_cookie())
    except (TooManyRequests, Busy) as refusal:
        form.refuse(come_back(refusal))
        return _page(form, asking, status=refusal.status, retry_after=refusal.retry_after)
    if value is None:
        database().commit()
        form.refuse(_("Incorrect user name or password."))
        return _page(form, asking, status=400)
    database().commit()
    response = resume(asking) if asking is not None else redirect(goal, 303)
    settings = current_runtime().settings
    cookies.give(response, issuer, value, settings, remember=attempt.remember)
    return response


def _must_sign_in(visitor: Visitor) -> bool:
    """Return whether a page wants another sign-in: always, or because the last one is old."""
    return request.args.get("prompt") == "login" or not signing_in.is_recent(visitor)


def _goal() -> str:
    """Give the page that asked for the sign-in; foreign addresses are refused."""
    asked = request.args.get("return_to")
    if asked is None:
        return HOME
    goal = return_path.parse(asked)
    if goal is None:
        raise BadRequest(_("The address to return to is not one of ours."))
    return goal


def _page(
    form: SignInForm,
    asking: Asking | None,
    *,
    status: int = 200,
    again: bool = False,
    retry_after: int | None = None,
) -> Response:
    response = make_response(
        render_template(
            "pages/signin/login.html",
            form=form,
            may_register=registration.is_open(database(), current_issuer()),
            asked_by=handle_of(asking),
            client=asking.client if asking else None,
            handle=asking.handle if asking else None,
            again=again,
            notice=request.args.get("notice"),
        ),
        status,
    )
    response.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
