"""Signing in another device: it shows a QR code, which a signed-in person scans and answers.

`POST /account/qr` makes a code, for the device to be signed in: `id`, `secret`, `number`,
`expires_in` (seconds), `address` (the content of the code) and `svg` (its picture).
`GET /account/qr/<id>` returns only `{"state": …}`: `waiting`, `confirmed`, `denied`,
`used` or `expired`. `address` is the page where the person answers.
"""

from __future__ import annotations

from typing import Any

import orjson
import segno
from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from idp.directory.authentication import qr
from idp.directory.authentication.qr import State
from idp.pages import agents, return_path
from idp.pages.visitor import ask_to_sign_in, current_visitor
from idp.platform.errors import NotFound
from idp.platform.web.views import current_issuer, database

HOME = "/account/qr"

devices = Blueprint("qr_devices", __name__)
blueprint = Blueprint("qr", __name__)


@devices.post(HOME)
def make() -> Response:
    """Create a code for a device."""
    issuer = current_issuer()
    made = qr.make(database(), issuer.tenant_id)
    database().commit()
    address = f"{issuer.url}{HOME}/{made.handle}/confirm"
    picture = segno.make(address, micro=False, error="m")
    return _json(
        {
            "id": made.handle,
            "secret": made.secret,
            "number": made.number,
            "expires_in": qr.SECONDS,
            "address": address,
            "svg": picture.svg_inline(omitsize=True, light="#fff"),
        }
    )


@devices.get(f"{HOME}/<handle>")
def state(handle: str) -> Response:
    """Return the state of a code."""
    row = qr.find(database(), current_issuer().tenant_id, handle)
    if row is None:
        raise NotFound
    return _json({"state": qr.state_of(row).value})


@blueprint.get(f"{HOME}/<handle>/confirm")
def show(handle: str) -> Response:
    """Show the requesting device, or the answer."""
    visitor = current_visitor()
    if visitor is None:
        return _sign_in_first()
    row = qr.find(database(), current_issuer().tenant_id, handle)
    found = State.EXPIRED if row is None else qr.state_of(row)
    if row is None or (row.user_id not in {None, visitor.user.id}):
        found = State.EXPIRED
    return _page(found, row=row, user=visitor.user)


@blueprint.post(f"{HOME}/<handle>/confirm")
def answer(handle: str) -> Response:
    """Sign the device in, or refuse it; the first answer counts."""
    visitor = current_visitor()
    if visitor is None:
        return _sign_in_first()
    allow = request.form.get("answer") == "allow"
    issuer = current_issuer()
    if not qr.answer(database(), issuer.tenant_id, handle, visitor.user, allow=allow):
        return _page(State.EXPIRED, row=None, user=visitor.user)
    database().commit()
    return redirect(f"{HOME}/{handle}/confirm", 303)


def _sign_in_first() -> Response:
    return ask_to_sign_in(return_to=return_path.parse(request.path) or "/account")


def _page(found: State, **context: Any) -> Response:
    row = context["row"]
    browser, system = agents.describe(row.user_agent if row is not None else None)
    text = render_template(
        "pages/qr/confirm.html", state=found.value, browser=browser, system=system, **context
    )
    response = make_response(text, 404 if found is State.EXPIRED else 200)
    response.headers["Cache-Control"] = "no-store"
    return response


def _json(content: dict[str, Any]) -> Response:
    response = make_response(orjson.dumps(content))
    response.content_type = "application/json"
    response.headers["Cache-Control"] = "no-store"
    return response
