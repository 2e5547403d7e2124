"""The pages of registration: where codes go, then the codes and the account."""

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
from idp.pages.messages import come_back, reasons, say, wait_message
from idp.pages.pending import find_waiting, signed_in
from idp.pages.register.forms import AccountForm, AddressForm
from idp.pages.visitor import session_cookie
from idp.platform import clock
from idp.platform.errors import BadRequest, Busy, Conflict, NotFound, TooManyRequests
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

ADDRESSES = "register"
"""Where the form cookie keeps the visitor's own addresses between the two pages."""
MINUTES = 30

blueprint = Blueprint("register", __name__)


@blueprint.before_request
def _only_when_open() -> None:
    """Hide the pages where strangers are not let in, and follow the application's language."""
    is_open = registration.is_open(database(), current_issuer())
    database().commit()
    if not is_open:
        raise NotFound
    find_waiting()


@blueprint.get("/register")
def show() -> Response:
    """Ask for number and address."""
    return _page("ask", AddressForm())


@blueprint.post("/register")
@for_anyone
def ask() -> Response:
    """Send both codes; nothing tells whether somebody has the number or the address already."""
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
    return _go("/register/account")


@blueprint.get("/register/account")
def show_account() -> Response:
    """Ask for the codes, a name and a password."""
    addresses = _addresses()
    if addresses is None:
        return _go("/register")
    return _account_page(AccountForm(), addresses)


@blueprint.post("/register/account")
@for_anyone
def create() -> Response:
    """Make the account and sign the person in."""
    addresses = _addresses()
    if addresses is None:
        return _go("/register")
    asking = find_waiting()
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
        database().rollback()  # the codes are as good as before
        form.refuse(come_back(refusal))
        return _account_page(form, addresses, refusal.status, refusal.retry_after)
    except (BadRequest, Conflict) as problem:
        database().rollback()
        for reason in reasons(problem):
            form.refuse(reason, "password" if "password" in problem.fields else None)
        return _account_page(form, addresses, 400)
    if isinstance(outcome, Refused):
        database().commit()
        _tell(form, outcome)
        return _account_page(form, addresses, 400)
    client_id = None if asking is None else asking.client.client_id
    cookie = sign_in.start(
        database(), current_issuer(), outcome, session_cookie(), client_id=client_id
    )
    database().commit()
    session.pop(ADDRESSES, None)
    return signed_in(asking, "/account", cookie)


@blueprint.post("/register/again")
@for_anyone
def send_again() -> Response:
    """Send both codes once more."""
    addresses = _addresses()
    if addresses is None:
        return _go("/register")
    form = AccountForm(formdata=None)
    refused = _send(form, addresses, again=True)
    if refused is not None:
        return _account_page(form, addresses, *refused)
    database().commit()
    return _go("/register/account", notice="sent")


def _send(
    form: Form, addresses: dict[Channel, str], *, again: bool = False
) -> tuple[int, int | None] | None:
    """Send the codes; put a refusal into the form, and return its status and seconds to wait."""
    try:
        wait = registering.send_codes(
            database(), current_issuer(), addresses, language.current().code, again=again
        )
    except BadRequest as problem:
        for field, texts in problem.fields.items():
            form.refuse(say(texts[0]), field)
        return 400, None
    except Busy as spent:
        database().rollback()
        form.refuse(come_back(spent))
        return spent.status, spent.retry_after
    if wait is None:
        return None
    database().rollback()
    if wait.is_for_the_day:
        form.refuse(_("No more codes can be sent there today. Please try again tomorrow."))
    else:
        form.refuse(wait_message(wait.seconds))
    return 429, wait.seconds


def _tell(form: Form, outcome: Refused) -> None:
    """Say what is wrong; whoever proved an address may know that it has an account."""
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
    """Read where the codes went; None when that was too long ago, or never."""
    kept: dict[str, Any] = session.get(ADDRESSES) or {}
    if kept.get("until", 0) < clock.now().timestamp():
        session.pop(ADDRESSES, None)
        return None
    return {channel: kept[channel.value] for channel in (Channel.SMS, Channel.MAIL)}


def _go(path: str, **query: str) -> Response:
    """Go to a page; the application that waits comes along."""
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
    page = render_template(f"pages/register/{template}.html", form=form, asked_by=query, **context)
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
