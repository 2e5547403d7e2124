"""The page of a sign-in on which people confirm an address that a policy wants to be theirs."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from flask import session as browser_session
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import addresses
from idp.account import sign_in as signing_in
from idp.account.addresses import NewAddress
from idp.directory.authentication.attempts import OpenAttempt
from idp.directory.authentication.steps import Step
from idp.directory.policies.rules import EMAIL
from idp.directory.registration.codes import Channel
from idp.pages import device, language
from idp.pages.form import Form
from idp.pages.messages import reasons, retry_message
from idp.pages.pending import PAGES, go_on
from idp.pages.signin.forms import AddressCodeForm, EmailForm, MobileForm
from idp.pages.signin.steps import Place, for_place, for_step, step_page
from idp.pages.visitor import session_cookie
from idp.platform.errors import BadRequest, Busy, Conflict, TooManyRequests
from idp.platform.web.views import current_issuer, database

PAGE = PAGES[Step.VERIFY]
SEND = f"{PAGE}/send"
SENT = "confirming"
"""In the session of the browser: the sign-in, and the address to which a code was sent for it."""

blueprint = Blueprint("verify", __name__)


@blueprint.get(PAGE)
@for_step(Step.VERIFY)
def show(place: Place) -> Response:
    """Ask for the address, or for the code that was sent to it."""
    kind = _kind(place)
    address = None if "again" in request.args else _sent_to(place, kind)
    return _address_page(place, kind) if address is None else _code_page(place, kind, address)


@blueprint.post(SEND)
@for_step(Step.VERIFY)
def send_code(place: Place) -> Response:
    """Send a code to the address; the answer does not reveal whether it is taken."""
    kind = _kind(place)
    form = _address_form(kind)
    if not form.validate():
        return _address_page(place, kind, form, 400)
    address = form["address"].data or ""
    new, locale = NewAddress(_channel(kind), address), language.current().code
    try:
        addresses.send_proof(database(), current_issuer(), place.known.user, new, locale)
    except (TooManyRequests, Busy) as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return _address_page(place, kind, form, refusal.status, refusal.retry_after)
    except BadRequest as problem:
        database().rollback()
        form.refuse(reasons(problem)[0], "address")
        return _address_page(place, kind, form, 400)
    database().commit()
    browser_session[SENT] = [place.owner, kind, address]
    return redirect(place.address(PAGE), 303)


@blueprint.get(SEND)
@for_place
def show_sent(place: Place) -> Response:
    """Redirect to the page of the form, whose answer was loaded again."""
    return redirect(place.address(PAGE), 303)


@blueprint.post(PAGE)
@for_step(Step.VERIFY)
def confirm(place: Place) -> Response:
    """Check the code; keep the address and go on with the sign-in."""
    assert isinstance(place.known, OpenAttempt)  # noqa: S101 - this step is none of a session
    kind = _kind(place)
    address = _sent_to(place, kind)
    if address is None:
        return redirect(place.address(PAGE), 303)
    form = AddressCodeForm()
    if not form.validate():
        return _code_page(place, kind, address, form, 400)
    new = NewAddress(_channel(kind), address, code=(form.code.data or "").strip())
    try:
        outcome = signing_in.with_address(
            database(), current_issuer(), place.known, new, session_cookie(), device.sent()
        )
    except Conflict as problem:
        database().rollback()
        form.refuse(reasons(problem)[0])
        return _code_page(place, kind, address, form, 400)
    database().commit()
    if outcome is None:
        form.refuse(_("This code is wrong or has expired."), "code")
        return _code_page(place, kind, address, form, 400)
    browser_session.pop(SENT, None)
    return go_on(outcome, place.authorization, place.home)


def _kind(place: Place) -> str:
    """Return which address is to be confirmed now."""
    assert isinstance(place.known, OpenAttempt)  # noqa: S101 - this step is none of a session
    progress = signing_in.progress_of(database(), current_issuer(), place.known)
    return progress.unconfirmed[0]


def _channel(kind: str) -> Channel:
    return Channel.MAIL if kind == EMAIL else Channel.SMS


def _sent_to(place: Place, kind: str) -> str | None:
    """Return the address to which a code was sent for this sign-in; None: there is none."""
    owner, sent_kind, address = browser_session.get(SENT) or ("", "", "")
    return str(address) if (owner, sent_kind) == (place.owner, kind) else None


def _address_form(kind: str) -> Form:
    return EmailForm() if kind == EMAIL else MobileForm()


def _address_page(
    place: Place,
    kind: str,
    form: Form | None = None,
    status: int = 200,
    retry_after: int | None = None,
) -> Response:
    if form is None:
        user = place.known.user
        form = _address_form(kind)
        form["address"].data = user.email if kind == EMAIL else user.mobile
    by_sending = place.address(SEND)
    return step_page(
        "verify", place, status, retry_after, form=form, kind=kind, by_sending=by_sending
    )


def _code_page(
    place: Place, kind: str, address: str, form: Form | None = None, status: int = 200
) -> Response:
    return step_page(
        "verify",
        place,
        status,
        form=form or AddressCodeForm(formdata=None),
        kind=kind,
        address=address,
        minutes=_channel(kind).minutes,
        by_code=place.address(PAGE),
        again=place.address(PAGE, again="y"),
    )
