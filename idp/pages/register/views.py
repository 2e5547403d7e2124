"""The pages of registration: number and address, then the codes and the account."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect, render_template, request, session
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import registration as registering
from idp.account import sign_in
from idp.directory.registration import service as registration
from idp.directory.registration.codes import Channel
from idp.directory.registration.service import Refused, Registration
from idp.pages import language
from idp.pages.form import Form
from idp.pages.messages import reasons, retry_message, translate, wait_message
from idp.pages.pending import find_live_authorization, signed_in
from idp.pages.register.forms import AccountForm, AddressForm
from idp.pages.visitor import session_cookie
from idp.platform import clock
from idp.platform.errors import BadRequest, Busy, Conflict, NotFound, TooManyRequests
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

ADDRESSES = "register"
"""Key in the form cookie of the visitor's number and address."""
MINUTES = 30

blueprint = Blueprint("register", __name__)


@blueprint.before_request
def _only_when_open() -> None:
    """Hide the pages where registration is closed; use the language of the request."""
    is_open = registration.is_open(database(), current_issuer())
    database().commit()
    if not is_open:
        raise NotFound
    find_live_authorization()


@blueprint.get("/register")
def show() -> Response:
    """Show the form for number and address."""
    return _page("ask", AddressForm())


@blueprint.post("/register")
@for_anyone
def ask() -> Response:
    """Send both codes; the answer does not reveal whether number or address is taken."""
    form = AddressForm()
    if not form.validate():
        return _page("ask", form, 400)
    addresses = {Channel.SMS: form.mobile.data or "", Channel.MAIL: form.email.data or ""}
    refused = _send(form, addresses)
    if refused is not None:
        return _page("ask", form, *refused)
    database().commit()
    session[ADDRESSES] = {
        **{channel.value: address for channel, address in addresses.items()},
        "until": int(clock.now().timestamp()) + MINUTES * 60,
    }
    return _redirect("/register/account")


@blueprint.get("/register/account")
def show_account() -> Response:
    """Show the form for the codes, a name and a password."""
    addresses = _addresses()
    if addresses is None:
        return _redirect("/register")
    return _account_page(AccountForm(), addresses)


@blueprint.post("/register/account")
@for_anyone
def create() -> Response:
    """Create the account and sign the person in."""
    addresses = _addresses()
    if addresses is None:
        return _redirect("/register")
    authorization = find_live_authorization()
    form = AccountForm()
    if not form.validate():
        return _account_page(form, addresses, 400)
    try:
        outcome = registering.register(
            database(),
            current_issuer(),
            Registration(
                mobile=addresses[Channel.SMS],
                mobile_code=(form.mobile_code.data or "").strip(),
                email=addresses[Channel.MAIL],
                email_code=(form.email_code.data or "").strip(),
                password=form.password.data or "",
                nick_name=form.nick_name.data,
                locale=language.current().tag,
            ),
        )
    except (TooManyRequests, Busy) as refusal:
        database().rollback()  # the codes stay valid
        form.refuse(retry_message(refusal))
        return _account_page(form, addresses, refusal.status, refusal.retry_after)
    except (BadRequest, Conflict) as problem:
        database().rollback()
        for reason in reasons(problem):
            form.refuse(reason, "password" if "password" in problem.fields else None)
        return _account_page(form, addresses, 400)
    if isinstance(outcome, Refused):
        database().commit()
        _show_refusal(form, outcome)
        return _account_page(form, addresses, 400)
    client_id = None if authorization is None else authorization.client.client_id
    cookie = sign_in.start(
        database(), current_issuer(), outcome, session_cookie(), client_id=client_id
    )
    database().commit()
    session.pop(ADDRESSES, None)
    return signed_in(authorization, "/account", cookie)


@blueprint.post("/register/again")
@for_anyone
def send_again() -> Response:
    """Send both codes again."""
    addresses = _addresses()
    if addresses is None:
        return _redirect("/register")
    form = AccountForm(formdata=None)
    refused = _send(form, addresses, again=True)
    if refused is not None:
        return _account_page(form, addresses, *refused)
    database().commit()
    return _redirect("/register/account", notice="sent")


def _send(
    form: Form, addresses: dict[Channel, str], *, again: bool = False
) -> tuple[int, int | None] | None:
    """Send the codes; show a refusal in the form and return its status and seconds to wait."""
    try:
        wait = registering.send_codes(
            database(), current_issuer(), addresses, language.current().code, again=again
        )
    except BadRequest as problem:
        for field, texts in problem.fields.items():
            form.refuse(translate(texts[0]), field)
        return 400, None
    except Busy as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return refusal.status, refusal.retry_after
    if wait is None:
        return None
    database().rollback()
    if wait.is_for_the_day:
        form.refuse(_("No more codes can be sent to you today. Please try again tomorrow."))
    else:
        form.refuse(wait_message(wait.seconds))
    return 429, wait.seconds


def _show_refusal(form: Form, outcome: Refused) -> None:
    """Show what is wrong; a person who proved an address may learn that it has an account."""
    wrong = _("This code is wrong or has expired.")
    if outcome is Refused.PHONE_CODE:
        form.refuse(wrong, "mobile_code")
    elif outcome is Refused.EMAIL_CODE:
        form.refuse(wrong, "email_code")
    elif outcome is Refused.EMAIL_TAKEN:
        form.refuse(_("An account with this e-mail address already exists. Sign in with it."))
    else:
        form.refuse(_("An account with this mobile number already exists. Sign in with it."))


def _addresses() -> dict[Channel, str] | None:
    """Return number and address to which codes were sent; None when they expired."""
    kept: dict[str, Any] = session.get(ADDRESSES) or {}
    if kept.get("until", 0) < clock.now().timestamp():
        session.pop(ADDRESSES, None)
        return None
    return {channel: kept[channel.value] for channel in (Channel.SMS, Channel.MAIL)}


def _redirect(path: str, **query: str) -> Response:
    """Redirect to a page, with the pending request."""
    handle = request.args.get(language.HANDLE)
    if handle:
        query[language.HANDLE] = handle
    return redirect(f"{path}?{urlencode(query)}" if query else path, 303)


def _account_page(
    form: AccountForm,
    addresses: dict[Channel, str],
    status: int = 200,
    retry_after: int | None = None,
) -> Response:
    return _page(
        "account",
        form,
        status,
        retry_after,
        mobile=addresses[Channel.SMS],
        email=addresses[Channel.MAIL],
        notice=request.args.get("notice"),
    )


def _page(
    template: str,
    form: Form,
    status: int = 200,
    retry_after: int | None = None,
    **context: object,
) -> Response:
    handle = request.args.get(language.HANDLE)
    query = {language.HANDLE: handle} if handle else {}
    page = render_template(
        f"pages/register/{template}.html", form=form, request_query=query, **context
    )
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
