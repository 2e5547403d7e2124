"""Subscribers of a microservice: requested by mail, confirmed and cancelled by its links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import redirect, request
from marshmallow import fields, validate
from werkzeug.wrappers import Response

from idp.api.actor import current_actor
from idp.api.answers import current_language
from idp.api.center.codes import Code
from idp.api.center.dialect import Page, Refusal, center
from idp.directory.scopes import Scope
from idp.platform.errors import NotFound
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, Shape, boolean, text
from idp.publishing.subscribers import codes
from idp.publishing.subscribers import service as subscribers
from idp.publishing.subscribers.codes import InvalidCode
from idp.publishing.subscribers.service import Asked

JSON = "application/json"
REFUSED = {
    Asked.SUBSCRIBED: Code.VerifyEmail_AddEmailFailed,
    Asked.LIMITED: Code.Subscription_VerifyEmailFailed,
}


class SubscriptionShape(Shape):
    """A subscriber."""

    api_resource_id = text(data_key="partitionKey", required=True)
    created_at = Moment(data_key="timestamp")
    e_tag = text(data_key="eTag", allow_none=True, dump_default=None)
    address = text(data_key="rowKey", required=True)


class SubscriptionVerifyEmailRequestShape(Shape):
    """The address to which the mail is sent."""

    email = fields.Email(required=True, validate=validate.Length(max=254))


class CodeQuery(Shape):
    """The code in the link of a mail."""

    code = text(codes.LONGEST, minimum=1, required=True)


@center.operation(
    "apiresource-subscriptions",
    "GET",
    "/ApiResource/<int:id>/Subscriptions",
    scope=Scope.APIRESOURCE_SUBSCRIPTIONS,
    result=SubscriptionShape(),
    form="list",
    errors=("NotFound",),
)
def list_(id: int) -> Page:
    """List subscribers of a microservice."""
    rows = subscribers.listing(database(), current_actor(), id)
    return Page(rows, take=len(rows), skip=0, total=len(rows))


@center.operation(
    "apiresource-addsubscription",
    "GET",
    "/ApiResource/<int:id>/AddSubscription",
    query=CodeQuery(),
    result=boolean(),
    errors=("Subscription_VerfifyCodeFailed", "Subscription_PostFailed"),
    page=True,
    head=False,
)
def confirm(id: int, query: Mapping[str, Any]) -> bool | Response:
    """Confirm a subscription.

    The link in a mail. A caller that accepts JSON subscribes; browsers, and programs that open
    every link, are redirected to a page with a button.
    """
    if not asks_for_json():
        return redirect(codes.page("confirm", id, query["code"]), 303)
    try:
        subscribers.confirm(database(), id, query["code"])
    except InvalidCode:
        raise Refusal(Code.Subscription_VerfifyCodeFailed) from None
    except NotFound:
        raise Refusal(Code.Subscription_PostFailed) from None
    database().commit()
    return True


@center.operation(
    "apiresource-verifyemail",
    "POST",
    "/ApiResource/<int:id>/Subscriptions/VerifyEmail",
    scope=Scope.APIRESOURCE_VERIFYEMAIL,
    body=SubscriptionVerifyEmailRequestShape(),
    result=boolean(),
    errors=("NotFound", "VerifyEmail_AddEmailFailed", "Subscription_VerifyEmailFailed"),
)
def ask(id: int, body: Mapping[str, Any]) -> bool:
    """Send a subscription confirmation mail.

    One a minute to an address, ten a day; then code 300010.
    """
    language = current_language()
    outcome = subscribers.ask(database(), current_actor(), id, body["email"], language)
    database().commit()
    if outcome in REFUSED:
        raise Refusal(REFUSED[outcome])
    return True


@center.operation(
    "apiresource-delsubscription",
    "GET",
    "/ApiResource/<int:id>/DelSubscription",
    query=CodeQuery(),
    result=boolean(),
    errors=("Subscription_DelSubscriptionFailed",),
    page=True,
    head=False,
)
def cancel(id: int, query: Mapping[str, Any]) -> bool | Response:
    """Cancel a subscription.

    The link in a mail; succeeds also without a subscription. A caller that accepts JSON cancels;
    browsers, and programs that open every link, are redirected to a page with a button.
    """
    if not asks_for_json():
        return redirect(codes.page("cancel", id, query["code"]), 303)
    try:
        subscribers.cancel(database(), id, query["code"])
    except InvalidCode:
        raise Refusal(Code.Subscription_DelSubscriptionFailed) from None
    database().commit()
    return True


def asks_for_json() -> bool:
    """Return whether the caller names JSON; programs that open every link accept `*/*`."""
    return any(kind.lower() == JSON and quality > 0 for kind, quality in request.accept_mimetypes)
