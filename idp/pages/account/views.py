"""The account pages: profile, password, sessions, applications."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from flask import Blueprint, make_response, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.tenants import service as tenants
from idp.oauth import service as oauth
from idp.oauth.visitor import Visitor
from idp.pages import return_path
from idp.pages.account import service
from idp.pages.account.forms import ChangePasswordForm
from idp.pages.language import current as current_language
from idp.pages.messages import come_back, reasons
from idp.pages.visitor import ask_to_sign_in, current_visitor, is_recent
from idp.platform.errors import BadRequest, Busy, TooManyRequests
from idp.platform.sessions import cookie as cookies
from idp.platform.web.views import current_issuer, current_runtime, database

HOME = "/account"
PASSWORD = "/account/password"  # noqa: S105 - an address
SESSIONS = "/account/sessions"
APPLICATIONS = "/account/applications"

Given = ParamSpec("Given")

blueprint = Blueprint("account", __name__)


def for_visitor(
    view: Callable[Concatenate[Visitor, Given], Response],
) -> Callable[Given, Response]:
    """Hand the view who is signed in; ask for the password when that was long ago."""

    @wraps(view)
    def guarded(*args: Given.args, **kwargs: Given.kwargs) -> Response:
        visitor = current_visitor()
        if visitor is None or not is_recent(visitor):
            back = return_path.parse(request.path) if request.method == "GET" else None
            return ask_to_sign_in(return_to=back or HOME)
        return view(visitor, *args, **kwargs)

    return guarded


@blueprint.get(HOME)
@for_visitor
def profile(visitor: Visitor) -> Response:
    """Show what is known of the person."""
    own = tenants.memberships(database(), visitor.user.id, current_issuer())
    return _page("profile", visitor, tenants=own)


@blueprint.get(PASSWORD)
@for_visitor
def show_password(visitor: Visitor) -> Response:
    """Ask for the old and the new password."""
    return _page("password", visitor, form=ChangePasswordForm())


@blueprint.post(PASSWORD)
@for_visitor
def change_password(visitor: Visitor) -> Response:
    """Change the password and sign everybody else out."""
    form = ChangePasswordForm()
    if not form.validate():
        return _page("password", visitor, 400, form=form)
    issuer = current_issuer()
    remember = visitor.browser.remember
    try:
        value = service.change_password(
            database(),
            issuer,
            visitor,
            form.current.data or "",
            form.password.data or "",
            current_language().code,
        )
    except (TooManyRequests, Busy) as refusal:
        database().rollback()
        form.refuse(
            come_back(refusal), "current" if refusal.status == TooManyRequests.status else None
        )
        response = _page("password", visitor, refusal.status, form=form)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    except BadRequest as problem:
        for reason in reasons(problem):
            form.refuse(reason, "password")
        return _page("password", visitor, 400, form=form)
    database().commit()
    if value is None:
        form.refuse(_("This is not your current password."), "current")
        return _page("password", visitor, 400, form=form)
    response = redirect(f"{PASSWORD}?notice=changed", 303)
    cookies.give(response, issuer, value, current_runtime().settings, remember=remember)
    return response


@blueprint.get(SESSIONS)
@for_visitor
def show_sessions(visitor: Visitor) -> Response:
    """List where the person is signed in."""
    lines = service.list_sessions(database(), current_issuer(), visitor)
    return _page("sessions", visitor, lines=lines)


@blueprint.post(f"{SESSIONS}/<int:session_id>/end")
@for_visitor
def end_session(visitor: Visitor, session_id: int) -> Response:
    """End one session; ending this one is signing out."""
    issuer = current_issuer()
    was_this = service.end_session(database(), issuer, visitor, session_id)
    database().commit()
    if not was_this:
        return redirect(f"{SESSIONS}?notice=ended", 303)
    response = redirect("/signed-out", 303)
    cookies.take(response, issuer)
    return response


@blueprint.post(f"{SESSIONS}/end-others")
@for_visitor
def end_other_sessions(visitor: Visitor) -> Response:
    """End all sessions but this one."""
    service.end_other_sessions(database(), current_issuer(), visitor)
    database().commit()
    return redirect(f"{SESSIONS}?notice=ended", 303)


@blueprint.get(APPLICATIONS)
@for_visitor
def show_applications(visitor: Visitor) -> Response:
    """List the applications that were allowed something, or have a way in."""
    lines = service.list_applications(database(), visitor)
    return _page("applications", visitor, lines=lines)


@blueprint.post(f"{APPLICATIONS}/<int:consent_id>/revoke")
@for_visitor
def revoke_consent(visitor: Visitor, consent_id: int) -> Response:
    """Take back what an application was allowed, and end its tokens."""
    oauth.revoke_consent(database(), visitor.user.id, consent_id)
    database().commit()
    return redirect(f"{APPLICATIONS}?notice=revoked", 303)


def _page(section: str, visitor: Visitor, status: int = 200, **context: object) -> Response:
    text = render_template(
        f"pages/account/{section}.html",
        section=section,
        user=visitor.user,
        notice=request.args.get("notice"),
        **context,
    )
    response = make_response(text, status)
    response.headers["Cache-Control"] = "no-store"
    return response
