"""Signing in with a passkey: as the first proof, as a further one, and adding one on the way."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import second_factors
from idp.account import sign_in as signing_in
from idp.account.second_factors import Added, NewPasskey
from idp.account.sign_in import Outcome, PasskeyAttempt
from idp.directory.authentication.attempts import OpenAttempt
from idp.directory.authentication.steps import Step
from idp.directory.factors import passkeys as rules
from idp.directory.factors.passkeys import Claim
from idp.oauth.visitor import Visitor
from idp.pages import device, factors, language, passkeys
from idp.pages.factors import AppForm, CodeForm
from idp.pages.messages import retry_message
from idp.pages.passkeys import NameForm
from idp.pages.pending import PAGES, continue_with, destination, find_authorization, go_on
from idp.pages.signin.forms import SignInForm
from idp.pages.signin.steps import (
    ADD_PASSKEY,
    DECLINE,
    PROVE_PASSKEY,
    Place,
    after_enrolment,
    enrolment_page,
    factor_page,
    for_place,
    for_step,
    new_passkey,
    standing_of,
    step_page,
)
from idp.pages.signin.views import login_page
from idp.pages.visitor import session_cookie
from idp.platform.errors import TooManyRequests
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

PAGE = "/login/passkey"

blueprint = Blueprint("passkeys", __name__)


@blueprint.post(PAGE)
@for_anyone
def sign_in() -> Response:
    """Sign in the person whose passkey answered; nobody needs to be known before."""
    authorization = find_authorization()
    home = destination()
    claim = passkeys.claim_for(passkeys.browser_owner())
    attempt = PasskeyAttempt(
        claim,
        remember=request.form.get("remember") == "y",
        client_id=authorization.client.client_id if authorization else None,
    )
    session, issuer = database(), current_issuer()
    outcome = signing_in.with_passkey(session, issuer, attempt, session_cookie(), device.sent())
    session.commit()
    if outcome is not None:
        return go_on(outcome, authorization, home)
    form = SignInForm(formdata=None)
    form.refuse(_("This passkey was not accepted. Try again, or sign in with your password."))
    unknown = rules.unknown_credential(session, issuer, claim)
    return login_page(form, authorization, status=400, unknown=unknown)


@blueprint.get(PAGE)
@for_place
def show(place: Place) -> Response:
    """Ask for a passkey, or for adding one, where an application demands the highest level."""
    return _elsewhere(place) or _page(place)


@blueprint.post(PROVE_PASSKEY)
@for_step(Step.SECOND)
def prove(place: Place) -> Response:
    """Check the answer of a known person; go on, or raise the level of the session."""
    form = CodeForm(formdata=None)
    try:
        outcome = _check(place.known, passkeys.claim_for(place.owner))
    except TooManyRequests as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return factor_page(place, form, refusal.status, refusal.retry_after)
    database().commit()
    if outcome is None:
        form.refuse(_("This passkey was not accepted. Please try again."))
        return factor_page(place, form, 400)
    return go_on(outcome, place.authorization, place.home)


@blueprint.get(PROVE_PASSKEY)
@for_place
def show_proof(place: Place) -> Response:
    """Redirect to the page of the form, whose answer was loaded again."""
    return redirect(place.address(PAGES[Step.SECOND]), 303)


@blueprint.get(ADD_PASSKEY)
@for_place
def show_addition(place: Place) -> Response:
    """Redirect to the page of the form, whose answer was loaded again."""
    is_step = isinstance(place.known, OpenAttempt)
    return redirect(place.address(PAGES[Step.ENROL] if is_step else PAGE), 303)


@blueprint.post(ADD_PASSKEY)
@for_place
def add(place: Place) -> Response:
    """Add a passkey to a person who needs one, and show new recovery codes next."""
    elsewhere = _elsewhere(place, is_adding=True)
    if elsewhere is not None:
        return elsewhere
    form = NameForm()
    claim = passkeys.claim_for(place.owner)
    added = factors.add_passkey(form, lambda: _add(place, NewPasskey(claim, form.chosen)))
    if not isinstance(added, factors.Refusal):
        return after_enrolment(place, added)
    if isinstance(place.known, Visitor):
        return _page(place, form, added.status)
    return enrolment_page(place, AppForm(formdata=None), added.status, named=form)


def _check(known: OpenAttempt | Visitor, claim: Claim) -> Outcome | None:
    session, issuer, locale = database(), current_issuer(), language.current().code
    if isinstance(known, OpenAttempt):
        return signing_in.with_second_passkey(
            session,
            issuer,
            known,
            claim,
            session_cookie(),
            device.sent(),
            remember_device=request.form.get("remember_device") == "y",
        )
    cookie = second_factors.step_up_by_passkey(session, issuer, known, claim, locale)
    return None if cookie is None else Outcome(Step.DONE, cookie, known.browser.remember)


def _add(place: Place, new: NewPasskey) -> Added | None:
    session, issuer, locale = database(), current_issuer(), language.current().code
    known = place.known
    if isinstance(known, OpenAttempt):
        return signing_in.with_new_passkey(session, issuer, known, new, locale)
    client_id = place.client_id
    return second_factors.add_passkey_in(session, issuer, known, new, locale, client_id)


def _elsewhere(place: Place, *, is_adding: bool = False) -> Response | None:
    """Redirect unless a passkey is due: in a sign-in, or for an application that demands it."""
    if isinstance(place.known, OpenAttempt):
        return place.elsewhere(Step.ENROL)
    if place.authorization is None:
        return continue_with(None, place.home)
    standing = standing_of(place.known)
    if standing.may_change or (standing.needs_passkey and not is_adding):
        return None
    if standing.needs_passkey:
        return redirect(place.address(PAGE), 303)
    if standing.has_factor:
        return redirect(place.address(PAGES[Step.SECOND]), 303)
    return redirect(place.address(PAGES[Step.FIRST], prompt="login"), 303)


def _page(place: Place, form: NameForm | None = None, status: int = 200) -> Response:
    """Return the page that asks for a passkey of the person, or for adding the first one."""
    own = place.passkey_to_prove()
    context = {} if own else new_passkey(place, form)
    action = place.address(PROVE_PASSKEY if own else ADD_PASSKEY)
    not_now = place.address(DECLINE) if place.may_decline else None
    return step_page(
        "passkey", place, status, own=own, by_passkey=action, not_now=not_now, **context
    )
