"""Signing in a device that has no browser: its code is typed or scanned here, and compared."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect, render_template, request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from idp.oauth import pending
from idp.oauth.authorization import device
from idp.oauth.authorization.device import Waiting
from idp.oauth.authorization.device_answer import ALLOWED, DENIED, HOME, REFUSED
from idp.oauth.visitor import Visitor
from idp.pages import agents, brand
from idp.pages.consent import describe
from idp.pages.form import Form
from idp.pages.pending import RETURN_TO
from idp.pages.visitor import ask_to_sign_in, current_visitor
from idp.platform.web.views import current_issuer, database

blueprint = Blueprint("device_code", __name__)

CODE = "user_code"
"""Name of the code in forms and addresses (RFC 8628 3.3.1)."""
ANSWERS = {ALLOWED: "allowed", DENIED: "denied", REFUSED: "refused"}


class CodeForm(Form):
    """The code that the device shows."""

    user_code = StringField(
        _("Code on the device"),
        [
            InputRequired(_("Enter the code that the device shows.")),
            Length(max=device.LONGEST_TYPED, message=_("This is too long.")),
        ],
        render_kw={
            "autocomplete": "off",
            "autocapitalize": "characters",
            "spellcheck": "false",
            "placeholder": "XXXX-XXXX",
        },
    )


@blueprint.get(HOME)
def show() -> Response:
    """Ask for the code of the device; with a code in the address, ask to compare it."""
    code = device.normalized(request.args.get(CODE, ""))
    visitor = current_visitor()
    if visitor is None:
        return _sign_in_first(code)
    form = CodeForm(formdata=None)
    if code is None:
        return _ask_code(visitor, form)
    return _confirm(visitor, form, code)


@blueprint.post(HOME)
def enter() -> Response:
    """Take a code that was typed, in any writing, and ask to compare it."""
    visitor = current_visitor()
    if visitor is None:
        return _sign_in_first(None)
    form = CodeForm()
    if not form.validate():
        return _ask_code(visitor, form, 400)
    return _confirm(visitor, form, form.user_code.data or "")


@blueprint.post(f"{HOME}/answer")
def answer() -> Response:
    """Go on with the sign-in of the device, or refuse it."""
    code = request.form.get(CODE, "")
    visitor = current_visitor()
    if visitor is None:
        return _sign_in_first(device.normalized(code))
    issuer = current_issuer()
    waiting = device.find(database(), issuer, code, visitor.user.id)
    if waiting is None:
        return _unknown(visitor, CodeForm(formdata=None))
    if request.form.get("answer") != "allow":
        device.deny(database(), waiting.row.id, waiting.client.client_id, visitor.user.id)
        database().commit()
        return redirect(DENIED, 303)
    if _needs_sign_in(waiting, visitor):
        return _sign_in_first(device.normalized(code), prompt="login")
    handle = device.ask(database(), issuer, waiting, visitor)
    database().commit()
    return redirect(f"/connect/authorize?{urlencode({pending.CONTINUE: handle})}", 303)


@blueprint.get(ALLOWED)
@blueprint.get(DENIED)
@blueprint.get(REFUSED)
def done() -> Response:
    """Show what became of the device."""
    return _page("pages/device/done.html", 200, state=ANSWERS[request.path])


def _confirm(visitor: Visitor, form: CodeForm, typed: str) -> Response:
    """Show who asks, from where and when, and what for."""
    waiting = device.find(database(), current_issuer(), typed, visitor.user.id)
    code = device.normalized(typed)
    if waiting is None or code is None:
        form.user_code.data = typed
        return _unknown(visitor, form)
    if _needs_sign_in(waiting, visitor):
        return _sign_in_first(code, prompt="login")
    client = waiting.client
    brand.show_tenant(client.tenant_id or visitor.browser.tenant_id)
    browser, system = agents.describe(waiting.row.user_agent)
    return _page(
        "pages/device/confirm.html",
        200,
        client=client,
        row=waiting.row,
        code=device.shown(code),
        browser=browser,
        system=system,
        lines=describe(waiting.scopes, client.identity_scopes, client.api_scopes),
        user=visitor.user,
    )


def _needs_sign_in(waiting: Waiting, visitor: Visitor) -> bool:
    """Return whether the person has to sign in anew: after the device asked."""
    is_older = visitor.browser.auth_time < waiting.row.created_at
    return waiting.client.device_requires_login and is_older


def _unknown(visitor: Visitor, form: CodeForm) -> Response:
    """Refuse a code; a wrong one and one that has expired look alike."""
    form.user_code.errors = [
        gettext("This code is wrong or has expired. Compare it with the device, or get a new one.")
    ]
    return _ask_code(visitor, form, 400)


def _ask_code(visitor: Visitor, form: CodeForm, status: int = 200) -> Response:
    return _page("pages/device/code.html", status, form=form, user=visitor.user)


def _sign_in_first(code: str | None, **query: str) -> Response:
    home = HOME if code is None else f"{HOME}?{CODE}={device.shown(code)}"
    return ask_to_sign_in(**{RETURN_TO: home}, **query)


def _page(template: str, status: int, **context: Any) -> Response:
    response = make_response(render_template(template, **context), status)
    response.headers["Cache-Control"] = "no-store"
    return response
