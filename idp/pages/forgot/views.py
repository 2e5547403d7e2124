"""The pages of a forgotten password."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template
from werkzeug.wrappers import Response

from idp.directory.users.models import User
from idp.pages import language
from idp.pages.forgot import service
from idp.pages.forgot.forms import AskForm, NewPasswordForm
from idp.pages.messages import reasons, wait_message
from idp.platform.errors import BadRequest, TooManyRequests
from idp.platform.sessions import cookie as cookies
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("forgot", __name__)


@blueprint.get("/forgot")
def show() -> Response:
    """Ask whose password it is."""
    return _page("pages/forgot/ask.html", form=AskForm())


@blueprint.post("/forgot")
@for_anyone
def ask() -> Response:
    """Leave the mail to the worker; one answer whether there is such an account or not."""
    form = AskForm()
    if not form.validate():
        return _page("pages/forgot/ask.html", 400, form=form)
    login = form.login.data or ""
    try:
        service.ask(database(), current_issuer(), login, language.current().code)
    except TooManyRequests as wait:
        form.refuse(wait_message(wait.retry_after))
        response = _page("pages/forgot/ask.html", 429, form=form)
        response.headers["Retry-After"] = str(wait.retry_after)
        return response
    database().commit()
    return redirect("/forgot/sent", 303)


@blueprint.get("/forgot/sent")
def sent() -> Response:
    """Say what happens next."""
    return _page("pages/forgot/sent.html", minutes=service.MINUTES)


@blueprint.get("/forgot/<token>")
def show_new(token: str) -> Response:
    """Ask for the new password; looking at the link does not use it up."""
    user = service.find_user(database(), token)
    if user is None:
        return _stale()
    return _new_page(NewPasswordForm(), user)


@blueprint.post("/forgot/<token>")
@for_anyone
def set_new(token: str) -> Response:
    """Set the new password, once."""
    user = service.find_user(database(), token)
    database().commit()
    if user is None:
        return _stale()
    form = NewPasswordForm()
    if not form.validate():
        return _new_page(form, user, 400)
    issuer = current_issuer()
    try:
        done = service.reset(
            database(), issuer, token, form.password.data or "", language.current().code
        )
    except BadRequest as problem:
        for reason in reasons(problem):
            form.refuse(reason, "password")
        return _new_page(form, user, 400)
    if not done:
        database().rollback()
        return _stale()
    database().commit()
    response = redirect("/login?notice=password-changed", 303)
    cookies.take(response, issuer)
    return response


def _stale() -> Response:
    return _page("pages/forgot/stale.html", 400)


def _new_page(form: NewPasswordForm, user: User, status: int = 200) -> Response:
    return _page("pages/forgot/new.html", status, form=form, username=user.username)


def _page(template: str, status: int = 200, **context: object) -> Response:
    response = make_response(render_template(template, **context), status)
    response.headers["Cache-Control"] = "no-store"
    return response
