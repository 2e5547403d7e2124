"""The pages for a forgotten password."""

from __future__ import annotations

from hashlib import sha256

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from idp.account import password_reset, sign_in
from idp.directory.policies import snapshot as policies
from idp.directory.users.models import User
from idp.pages import device, language
from idp.pages.forgot.forms import AskForm
from idp.pages.messages import reasons, retry_message
from idp.pages.password_hint import hint
from idp.pages.pending import Authorization, find_live_authorization, go_on, request_query_of
from idp.pages.signin.forms import NewPasswordForm
from idp.pages.visitor import session_cookie
from idp.platform.errors import BadRequest, Busy, TooManyRequests
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

KEPT = "waiting"
"""Key in the form cookie of the requests that links in mails continue."""
MOST_KEPT = 3

blueprint = Blueprint("forgot", __name__)


@blueprint.get("/forgot")
def show() -> Response:
    """Show the form for the account."""
    return _page("pages/forgot/ask.html", find_live_authorization(), form=AskForm())


@blueprint.post("/forgot")
@for_anyone
def ask() -> Response:
    """Have the worker send a link; the answer does not reveal whether the account exists."""
    authorization = find_live_authorization()
    form = AskForm()
    if not form.validate():
        return _page("pages/forgot/ask.html", authorization, 400, form=form)
    login = form.login.data or ""
    waiting = None if authorization is None else _keep(authorization)
    try:
        password_reset.ask(database(), current_issuer(), login, language.current().code, waiting)
    except TooManyRequests as refusal:
        form.refuse(retry_message(refusal))
        response = _page("pages/forgot/ask.html", authorization, 429, form=form)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    database().commit()
    return redirect(url_for("forgot.sent", **request_query_of(authorization)), 303)


@blueprint.get("/forgot/sent")
def sent() -> Response:
    """Show what happens next."""
    return _page(
        "pages/forgot/sent.html", find_live_authorization(), minutes=password_reset.MINUTES
    )


@blueprint.get("/forgot/<token>")
def show_new(token: str) -> Response:
    """Show the form for the new password; opening the link does not use it up."""
    user = password_reset.find_user(database(), current_issuer(), token)
    authorization = _kept()
    if user is None:
        return _stale(authorization)
    return _new_page(NewPasswordForm(), user, authorization)


@blueprint.post("/forgot/<token>")
@for_anyone
def set_new(token: str) -> Response:
    """Set the new password, once, and sign the person in."""
    issuer = current_issuer()
    user = password_reset.find_user(database(), issuer, token)
    authorization = _kept()
    if user is None:
        return _stale(authorization)
    form = NewPasswordForm()
    if not form.validate():
        return _new_page(form, user, authorization, 400)
    try:
        owner = password_reset.reset(
            database(), issuer, token, form.password.data or "", language.current().code
        )
    except BadRequest as problem:
        for reason in reasons(problem):
            form.refuse(reason, "password")
        return _new_page(form, user, authorization, 400)
    except Busy as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        response = _new_page(form, user, authorization, 503)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    if owner is None:
        database().rollback()
        return _stale(authorization)
    client_id = None if authorization is None else authorization.client.client_id
    outcome = sign_in.proceed(
        database(), issuer, owner, session_cookie(), device.sent(), client_id=client_id
    )
    database().commit()
    return go_on(outcome, authorization, f"{url_for('account.show_password')}?notice=changed")


def _keep(authorization: Authorization) -> str:
    """Store the pending request in this browser; return its mark for the link.

    In another browser the link sets the password and does not continue a request, so that
    nobody can have another person signed in to a request of their own.
    """
    mark = sha256(authorization.handle.encode()).hexdigest()[:16]
    others = {name: handle for name, handle in session.get(KEPT, {}).items() if name != mark}
    session[KEPT] = dict([*others.items(), (mark, authorization.handle)][-MOST_KEPT:])
    return mark


def _kept() -> Authorization | None:
    """Return the request that the link continues, if it is pending and of this browser."""
    mark = request.args.get(password_reset.WAITING, "")
    handle = session.get(KEPT, {}).get(mark)
    authorization = None if handle is None else find_live_authorization(handle)
    database().commit()
    return authorization


def _stale(authorization: Authorization | None) -> Response:
    return _page("pages/forgot/stale.html", authorization, 400)


def _new_page(
    form: NewPasswordForm, user: User, authorization: Authorization | None, status: int = 200
) -> Response:
    required = policies.of_user(database(), user.id)
    return _page(
        "pages/forgot/new.html",
        authorization,
        status,
        form=form,
        username=user.username,
        password_hint=hint(required),
    )


def _page(
    template: str, authorization: Authorization | None, status: int = 200, **context: object
) -> Response:
    page = render_template(
        template,
        request_query=request_query_of(authorization),
        client=None if authorization is None else authorization.client,
        **context,
    )
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    return response
