"""Signing out."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from idp.oauth import pending
from idp.oauth import sign_out as signing_out
from idp.pages import language
from idp.pages.pending import expired
from idp.pages.visitor import current_visitor
from idp.platform.sessions import cookie as cookies
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("signout", __name__)


@blueprint.get("/logout")
def ask() -> Response:
    """Ask for confirmation: opening an address does not sign anyone out."""
    client = _requesting_client()
    visitor = current_visitor()
    if visitor is None:
        return _after()
    page = render_template("pages/signout/ask.html", client=client, user=visitor.user)
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/logout")
def sign_out() -> Response:
    """End the session and continue the application's request, if there is one."""
    _requesting_client()
    visitor = current_visitor()
    if visitor is None:
        return _after()
    if request.form.get("answer") != "yes":
        return redirect("/account", 303)
    signing_out.sign_out(database(), visitor)
    database().commit()
    response = _after()
    cookies.delete_session(response, current_issuer())
    return response


@blueprint.get("/signed-out")
def signed_out() -> str:
    """Confirm the sign-out."""
    return render_template("pages/signout/done.html")


def _requesting_client() -> str | None:
    """Return the application that requests the sign-out; None when there is none."""
    handle = request.args.get(language.HANDLE)
    if handle is None:
        return None
    logout = pending.read(database(), current_issuer(), "endsession", handle)
    database().commit()
    if logout is None:
        raise expired()
    language.prefer(logout.ui_locales)
    return logout.client.name if logout.client else None


def _after() -> Response:
    """Continue the application's request, or confirm the sign-out."""
    handle = request.args.get(language.HANDLE)
    if handle is None:
        return redirect("/signed-out", 303)
    return redirect(f"/connect/endsession?{urlencode({pending.CONTINUE: handle})}", 303)
