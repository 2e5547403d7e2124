"""The pages of a forgotten password."""

from __future__ import annotations

from hashlib import sha256

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from idp.account import password_reset, sign_in
from idp.directory.users.models import User
from idp.pages import language
from idp.pages.forgot.forms import AskForm, NewPasswordForm
from idp.pages.messages import come_back, reasons
from idp.pages.pending import Asking, find_waiting, handle_of, signed_in
from idp.pages.visitor import session_cookie
from idp.platform.errors import BadRequest, Busy, TooManyRequests
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

KEPT = "waiting"
"""Where the form cookie keeps the requests that links in mails go on with."""
MOST_KEPT = 3

blueprint = Blueprint("forgot", __name__)


@blueprint.get("/forgot")
def show() -> Response:
    """Ask whose password it is."""
    return _page("pages/forgot/ask.html", find_waiting(), form=AskForm())


@blueprint.post("/forgot")
@for_anyone
def ask() -> Response:
    """Leave the mail to the worker; one answer whether there is such an account or not."""
    asking = find_waiting()
    form = AskForm()
    if not form.validate():
        return _page("pages/forgot/ask.html", asking, 400, form=form)
    login = form.login.data or ""
    waiting = None if asking is None else _keep(asking)
    try:
        password_reset.ask(database(), current_issuer(), login, language.current().code, waiting)
    except TooManyRequests as wait:
        form.refuse(come_back(wait))
        response = _page("pages/forgot/ask.html", asking, 429, form=form)
        response.headers["Retry-After"] = str(wait.retry_after)
        return response
    database().commit()
    return redirect(url_for("forgot.sent", **handle_of(asking)), 303)


@blueprint.get("/forgot/sent")
def sent() -> Response:
    """Say what happens next."""
    return _page("pages/forgot/sent.html", find_waiting(), minutes=password_reset.MINUTES)


@blueprint.get("/forgot/<token>")
def show_new(token: str) -> Response:
    """Ask for the new password; looking at the link does not use it up."""
    user = password_reset.find_user(database(), current_issuer(), token)
    asking = _kept()
    if user is None:
        return _stale(asking)
    return _new_page(NewPasswordForm(), user, asking)


@blueprint.post("/forgot/<token>")
@for_anyone
def set_new(token: str) -> Response:
    """Set the new password, once, and sign the person in."""
    issuer = current_issuer()
    user = password_reset.find_user(database(), issuer, token)
    asking = _kept()
    if user is None:
        return _stale(asking)
    form = NewPasswordForm()
    if not form.validate():
        return _new_page(form, user, asking, 400)
    try:
        owner = password_reset.reset(
            database(), issuer, token, form.password.data or "", language.current().code
        )
    except BadRequest as problem:
        for reason in reasons(problem):
            form.refuse(reason, "password")
        return _new_page(form, user, asking, 400)
    except Busy as crowd:
        database().rollback()
        form.refuse(come_back(crowd))
        response = _new_page(form, user, asking, 503)
        response.headers["Retry-After"] = str(crowd.retry_after)
        return response
    if owner is None:
        database().rollback()
        return _stale(asking)
    client_id = None if asking is None else asking.client.client_id
    cookie = sign_in.start(database(), issuer, owner, session_cookie(), client_id=client_id)
    database().commit()
    return signed_in(asking, f"{url_for('account.show_password')}?notice=changed", cookie)


def _keep(asking: Asking) -> str:
    """Remember in this browser which request waits; return what stands for it in the link.

    A mail is read by whoever opens it: in another browser the link sets the password and goes no
    further, so that nobody can have somebody else signed in to a request of their own.
    """
    mark = sha256(asking.handle.encode()).hexdigest()[:16]
    others = {name: handle for name, handle in session.get(KEPT, {}).items() if name != mark}
    session[KEPT] = dict([*others.items(), (mark, asking.handle)][-MOST_KEPT:])
    return mark


def _kept() -> Asking | None:
    """Return the request that the link was asked for, where it was asked for and still waits."""
    mark = request.args.get(password_reset.WAITING, "")
    handle = session.get(KEPT, {}).get(mark)
    asking = None if handle is None else find_waiting(handle)
    database().commit()
    return asking


def _stale(asking: Asking | None) -> Response:
    return _page("pages/forgot/stale.html", asking, 400)


def _new_page(
    form: NewPasswordForm, user: User, asking: Asking | None, status: int = 200
) -> Response:
    return _page("pages/forgot/new.html", asking, status, form=form, username=user.username)


def _page(template: str, asking: Asking | None, status: int = 200, **context: object) -> Response:
    page = render_template(
        template,
        asked_by=handle_of(asking),
        client=None if asking is None else asking.client,
        **context,
    )
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    return response
