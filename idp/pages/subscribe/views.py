"""The pages of subscriptions.

Opening a link changes nothing, because mail scanners open every one. The code in the address
authorizes what a button posts, so these posts need no form token, and mail programs may send them
too (RFC 8058).
"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from idp.pages import language
from idp.pages.messages import reasons, wait_message
from idp.pages.subscribe.forms import SubscribeForm
from idp.platform.errors import BadRequest, NotFound, TooManyRequests
from idp.platform.throttle import Address
from idp.platform.web.views import current_issuer, database, remote_address
from idp.publishing import apis
from idp.publishing.packages import service as packages
from idp.publishing.subscribers import service as subscribers
from idp.publishing.subscribers.codes import InvalidCode, Use
from idp.publishing.subscribers.service import GAP_SECONDS, MINUTES, Asked

blueprint = Blueprint("subscribe", __name__)
links = Blueprint("subscription_links", __name__)
"""Exempt from form tokens: the code in the address authorizes the post."""


@blueprint.get("/subscriptions/<int:api_id>")
def show(api_id: int) -> AnyResponse:
    """Show the public information on an API: its SDKs, and how to subscribe."""
    return _api_page(SubscribeForm(), api_id)


@blueprint.post("/subscriptions/<int:api_id>")
def ask(api_id: int) -> AnyResponse:
    """Mail a link; the answer does not reveal whether the address is subscribed."""
    form = SubscribeForm()
    if not form.validate():
        return _api_page(form, api_id, 400)
    email, locale = form.email.data or "", language.current().code
    sender = Address.of(remote_address())
    try:
        outcome = subscribers.ask_anonymously(
            database(), current_issuer(), api_id, email, locale, sender
        )
    except BadRequest as problem:
        for reason in reasons(problem):
            form.refuse(reason, "email")
        return _api_page(form, api_id, 400)
    except TooManyRequests as refusal:
        return _wait_page(form, api_id, refusal.retry_after)
    if outcome is Asked.LIMITED:
        return _wait_page(form, api_id, GAP_SECONDS)
    database().commit()
    return redirect(f"/subscriptions/{api_id}/sent", 303)


@blueprint.get("/subscriptions/<int:api_id>/sent")
def sent(api_id: int) -> AnyResponse:
    """Show what happens next."""
    return _page("sent", api_id=api_id, minutes=MINUTES)


@links.get("/subscriptions/<int:api_id>/confirm")
def ask_to_confirm(api_id: int) -> AnyResponse:
    """Show the button that confirms."""
    return _button("confirm", Use.CONFIRM, api_id)


@links.post("/subscriptions/<int:api_id>/confirm")
def confirm(api_id: int) -> AnyResponse:
    """Subscribe."""
    try:
        subscribers.confirm(database(), api_id, _code())
    except (InvalidCode, NotFound):
        return _page("stale", 400)
    database().commit()
    return redirect(f"/subscriptions/{api_id}/confirmed", 303)


@links.get("/subscriptions/<int:api_id>/confirmed")
def confirmed(api_id: int) -> AnyResponse:
    """Confirm that it is done."""
    return _page("confirmed", api_id=api_id)


@links.get("/subscriptions/<int:api_id>/cancel")
def ask_to_cancel(api_id: int) -> AnyResponse:
    """Show the button that cancels."""
    return _button("cancel", Use.CANCEL, api_id)


@links.post("/subscriptions/<int:api_id>/cancel")
def cancel(api_id: int) -> AnyResponse:
    """End a subscription, for a person or their mail program."""
    try:
        subscribers.cancel(database(), api_id, _code())
    except InvalidCode:
        return _page("stale", 400)
    database().commit()
    if request.form.get("List-Unsubscribe") == "One-Click":
        # RFC 8058 3.2: the mail program ignores the answer and follows no redirect.
        return Response("Unsubscribed.\n", mimetype="text/plain")
    return redirect(f"/subscriptions/{api_id}/cancelled", 303)


@links.get("/subscriptions/<int:api_id>/cancelled")
def cancelled(api_id: int) -> AnyResponse:
    """Confirm that it is done."""
    return _page("cancelled", api_id=api_id)


def _code() -> str:
    return request.args.get("code", "")


def _button(name: str, use: Use, api_id: int) -> AnyResponse:
    api = subscribers.find_api(database(), use, api_id, _code())
    if api is None:
        return _page("stale", 400)
    return _page(name, title=apis.title(api))


def _wait_page(form: SubscribeForm, api_id: int, seconds: int) -> AnyResponse:
    form.refuse(wait_message(seconds))
    response = _api_page(form, api_id, 429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _api_page(form: SubscribeForm, api_id: int, status: int = 200) -> AnyResponse:
    session = database()
    api = apis.get(session, api_id, apis.open_to_all(current_issuer()))
    offered = packages.listing(session, api.id)
    return _page("api", status, form=form, api=api, title=apis.title(api), packages=offered)


def _page(name: str, status: int = 200, **context: object) -> AnyResponse:
    response = make_response(render_template(f"pages/subscribe/{name}.html", **context), status)
    response.headers["Cache-Control"] = "no-store"
    return response
