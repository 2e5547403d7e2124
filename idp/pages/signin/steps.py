"""The pages of a sign-in after name and password: second factor, its enrolment, recovery codes.

Each of them asks whose turn it is, and redirects to that page. Without a sign-in under way they
raise the level of the session, for a page or an application that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import second_factors
from idp.account import sign_in as signing_in
from idp.account.second_factors import Added, Standing
from idp.account.sign_in import Outcome
from idp.directory import levels
from idp.directory.authentication.attempts import OpenAttempt
from idp.directory.authentication.steps import Proof, Step
from idp.directory.devices import service as devices
from idp.directory.factors import passkeys as passkey_rules
from idp.directory.factors import sent_codes
from idp.directory.factors import service as factor_rules
from idp.directory.factors.sent_codes import Target
from idp.directory.levels import PHR, PWD
from idp.directory.policies import rules
from idp.directory.policies import sign_in as sign_in_policies
from idp.directory.policies import snapshot as policies
from idp.directory.policies.rules import Required
from idp.directory.registration import codes
from idp.oauth import pending
from idp.oauth.visitor import Visitor
from idp.pages import device, factors, language, once, passkeys
from idp.pages.attempt import current_attempt, has_cookie
from idp.pages.factors import AppForm, CodeForm
from idp.pages.form import Form
from idp.pages.messages import reasons, retry_message, send_refusal
from idp.pages.passkeys import NameForm
from idp.pages.password_hint import hint
from idp.pages.pending import (
    PAGES,
    Authorization,
    address_within,
    continue_with,
    destination,
    find_authorization,
    go_on,
    step_address,
)
from idp.pages.signin.forms import NewPasswordForm
from idp.pages.visitor import current_visitor, renew_session, session_cookie
from idp.platform import clock
from idp.platform.errors import BadRequest, Busy, NotFound, TooManyRequests
from idp.platform.web.views import current_issuer, database

CODES = "/login/codes"
PROVE_PASSKEY = "/login/factor/passkey"
SEND = "/login/factor/send"
DECLINE = "/login/not-now"
ADD_PASSKEY = "/login/enrol/passkey"
PUT_OFF = "/login/enrol/later"

blueprint = Blueprint("steps", __name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sign-in stands: what it is for, and by what the person is known."""

    authorization: Authorization | None
    home: str
    known: OpenAttempt | Visitor

    @property
    def owner(self) -> str:
        """Name of the attempt or the session."""
        if isinstance(self.known, OpenAttempt):
            return self.known.owner
        return f"session:{self.known.browser.id}"

    def passkey_to_prove(self) -> str | None:
        """Return the options to prove a passkey of the person; None: they have none here."""
        session, issuer = database(), current_issuer()
        options = passkey_rules.request_options(session, issuer, self.owner, self.known.user.id)
        return passkeys.written(options)

    def passkey_to_add(self) -> str | None:
        """Return the options to add a passkey; None: there can be none here."""
        session, issuer = database(), current_issuer()
        options = passkey_rules.creation_options(session, issuer, self.known.user, self.owner)
        return passkeys.written(options)

    @property
    def may_decline(self) -> bool:
        """Whether the application merely wishes for what the session lacks."""
        if self.authorization is None or isinstance(self.known, OpenAttempt):
            return False
        browser, required = self.known.browser, self.required
        held = levels.held(browser.mfa_at, browser.phr_at, required.level_minutes)
        if not levels.satisfies(held, required.wanted) and not self._is_spared(required):
            return False
        handle = self.authorization.handle
        return pending.may_decline_level(database(), current_issuer(), handle, held)

    def _is_spared(self, required: Required) -> bool:
        """Return whether the policy asks for nothing more of the session."""
        assert isinstance(self.known, Visitor)  # noqa: S101 - attempts prove what is required
        browser, user = self.known.browser, self.known.user
        return sign_in_policies.is_spared(
            required,
            factor_rules.highest_level(database(), current_issuer(), user.id),
            auth_time=browser.auth_time,
            trusted_until=browser.trusted_until,
            asked_at=user.second_factor_asked_at,
        )

    @property
    def client_id(self) -> str | None:
        """The application that requests the sign-in."""
        if isinstance(self.known, OpenAttempt):
            return self.known.client_id
        return None if self.authorization is None else self.authorization.client.client_id

    @property
    def required(self) -> Required:
        """What policies require of the person."""
        session, issuer = database(), current_issuer()
        return sign_in_policies.asked_of(
            session, issuer, self.known.user.id, self.client_id
        ).required

    def address(self, path: str, **more: str) -> str:
        """Return the address of a page of this sign-in."""
        return address_within(path, self.authorization, self.home, **more)

    def elsewhere(self, step: Step) -> Response | None:
        """Redirect to the page whose turn it is, unless it is the page of this step."""
        if isinstance(self.known, Visitor):
            return self._step_up(self.known, step)
        due = signing_in.due_step(database(), current_issuer(), self.known)
        address = step_address(due, self.authorization, self.home)
        return None if due is step else redirect(address, 303)

    def _step_up(self, visitor: Visitor, step: Step) -> Response | None:
        """Redirect unless a session lacks what a step proves."""
        standing = standing_of(visitor)
        if step is Step.SECOND and standing.has_factor and not standing.may_change:
            return None
        if step is Step.ENROL and self.authorization is not None and not standing.has_factor:
            address = self.address("/login", prompt="login")
            return None if standing.may_change else redirect(address, 303)
        return continue_with(self.authorization, self.home)


@dataclass(frozen=True, slots=True)
class SentTarget:
    """An address that codes are sent to, as the page shows it."""

    target: Target
    sent_at: datetime | None
    """When a code was sent that is good for this sign-in; None: none was."""

    @property
    def wait_seconds(self) -> int:
        """How long to wait before another code can be sent."""
        if self.sent_at is None:
            return 0
        passed = clock.now() - self.sent_at
        return max(0, codes.GAP_SECONDS - int(passed.total_seconds()))


def for_place(view: Callable[[Place], Response]) -> Callable[[], Response]:
    """Pass the sign-in to the view; ask for name and password where there is none."""

    @wraps(view)
    def guarded() -> Response:
        authorization, home = find_authorization(), destination()
        known = current_attempt() or current_visitor()
        if known is None:
            notice = {"notice": "ended"} if has_cookie() else {}
            return redirect(address_within("/login", authorization, home, **notice), 303)
        return view(Place(authorization, home, known))

    return guarded


def for_step(step: Step) -> Callable[[Callable[[Place], Response]], Callable[[], Response]]:
    """Pass the sign-in to the page of a step; redirect to the step whose turn it is."""

    def decorate(view: Callable[[Place], Response]) -> Callable[[], Response]:
        @wraps(view)
        def guarded(place: Place) -> Response:
            return place.elsewhere(step) or view(place)

        return for_place(guarded)

    return decorate


@blueprint.get("/login/factor")
@for_step(Step.SECOND)
def show_factor(place: Place) -> Response:
    """Ask for a code of a second factor."""
    return factor_page(place, CodeForm())


@blueprint.post("/login/factor")
@for_step(Step.SECOND)
def prove(place: Place) -> Response:
    """Check the code; go on with the sign-in, or raise the level of the session."""
    form = CodeForm()
    if not form.validate():
        return factor_page(place, form, 400)
    is_sent = bool(factor_rules.targets_of(database(), place.known.user))
    try:
        outcome = _check_sent(place, form) if is_sent else _check(place.known, form)
    except TooManyRequests as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return factor_page(place, form, refusal.status, refusal.retry_after)
    database().commit()
    if outcome is None:
        form.refuse(_("This code is wrong or was used already."), "code")
        return factor_page(place, form, 400)
    return go_on(outcome, place.authorization, place.home)


def _check(known: OpenAttempt | Visitor, form: CodeForm) -> Outcome | None:
    session, issuer, code = database(), current_issuer(), form.code.data or ""
    if isinstance(known, OpenAttempt):
        return signing_in.with_code(
            session,
            issuer,
            known,
            code,
            session_cookie(),
            device.sent(),
            remember_device=bool(form.remember_device.data),
        )
    cookie = second_factors.step_up(session, issuer, known, code, language.current().code)
    return _raised(known, cookie)


def _check_sent(place: Place, form: CodeForm) -> Outcome | None:
    session, issuer, known = database(), current_issuer(), place.known
    code = form.code.data or ""
    if isinstance(known, OpenAttempt):
        return signing_in.with_sent_code(
            session,
            issuer,
            known,
            code,
            session_cookie(),
            device.sent(),
            remember_device=bool(form.remember_device.data),
        )
    cookie = second_factors.step_up_by_sent_code(session, issuer, known, place.owner, code)
    return _raised(known, cookie)


def _raised(visitor: Visitor, cookie: str | None) -> Outcome | None:
    return None if cookie is None else Outcome(Step.DONE, cookie, visitor.browser.remember)


@blueprint.post(SEND)
@for_step(Step.SECOND)
def send_code(place: Place) -> Response:
    """Send a code by mail or text message, and show the form for it."""
    way, form = request.form.get("way", ""), CodeForm(formdata=None)
    try:
        wait = second_factors.send_code(
            database(),
            current_issuer(),
            place.known.user,
            way,
            place.owner,
            language.current().code,
        )
    except Busy as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return factor_page(place, form, refusal.status, refusal.retry_after)
    if wait is not None:
        database().rollback()
        form.refuse(send_refusal(wait))
        return factor_page(place, form, TooManyRequests.status, wait.seconds)
    database().commit()
    return redirect(place.address(PAGES[Step.SECOND], notice="sent"), 303)


@blueprint.get(SEND)
@for_place
def show_sent(place: Place) -> Response:
    """Redirect to the page of the form, whose answer was loaded again."""
    return redirect(place.address(PAGES[Step.SECOND]), 303)


@blueprint.post(DECLINE)
@for_place
def decline(place: Place) -> Response:
    """Continue a request without the level that it merely wishes for."""
    known, authorization = place.known, place.authorization
    if authorization is not None and isinstance(known, Visitor) and place.may_decline:
        handle = authorization.handle
        pending.decline_level(database(), current_issuer(), handle, known.browser)
        database().commit()
    return continue_with(authorization, place.home)


@blueprint.get("/login/code")
@for_step(Step.CODE)
def show_code(place: Place) -> Response:
    """Ask for the enrolment code that an administrator handed out."""
    return _code_page(place, CodeForm())


@blueprint.post("/login/code")
@for_step(Step.CODE)
def prove_code(place: Place) -> Response:
    """Check the enrolment code and go on with setting up a second factor."""
    form, attempt = CodeForm(), place.known
    if isinstance(attempt, Visitor):
        raise NotFound
    if not form.validate():
        return _code_page(place, form, 400)
    try:
        is_right = signing_in.with_enrolment_code(
            database(), current_issuer(), attempt, form.code.data or ""
        )
    except TooManyRequests as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return _code_page(place, form, refusal.status, refusal.retry_after)
    database().commit()
    if not is_right:
        form.refuse(_("This code is wrong, has expired or was used already."), "code")
        return _code_page(place, form, 400)
    return redirect(step_address(Step.ENROL, place.authorization, place.home), 303)


@blueprint.get("/login/enrol")
@for_step(Step.ENROL)
def show_enrolment(place: Place) -> Response:
    """Show the secret of a new authenticator app."""
    return enrolment_page(place, AppForm())


@blueprint.post("/login/enrol")
@for_step(Step.ENROL)
def enrol(place: Place) -> Response:
    """Add the app whose code is right, and show the recovery codes next."""
    form = AppForm()
    added = factors.add_app(form, lambda: _add(place, form))
    if isinstance(added, factors.Refusal):
        return enrolment_page(place, form, added.status, added.retry_after)
    return after_enrolment(place, added)


@blueprint.post(PUT_OFF)
@for_step(Step.ENROL)
def put_off(place: Place) -> Response:
    """Go on without a second factor, where the policy leaves time for setting it up."""
    session, issuer, known = database(), current_issuer(), place.known
    until = _put_off_until(place)
    if until is None:
        return enrolment_page(place, AppForm(formdata=None), 400)
    if isinstance(known, Visitor):
        signing_in.note_put_off(session, issuer, known.user)
        session.commit()
        return continue_with(place.authorization, place.home)
    outcome = signing_in.put_off(session, issuer, known, session_cookie(), device.sent())
    session.commit()
    if outcome is None:
        return redirect(place.address("/login"), 303)
    return go_on(outcome, place.authorization, place.home)


@blueprint.get(PUT_OFF)
@for_place
def show_put_off(place: Place) -> Response:
    """Redirect to the page of the form, whose answer was loaded again."""
    return redirect(place.address(PAGES[Step.ENROL]), 303)


def _put_off_until(place: Place) -> datetime | None:
    """Return until when the person may put off setting up a second factor; None: not at all."""
    known, required = place.known, place.required
    if isinstance(known, OpenAttempt):
        may = signing_in.progress_of(database(), current_issuer(), known).may_put_off
    else:
        # What an application demands by itself cannot be put off.
        client = None if place.authorization is None else place.authorization.client
        may = required.wanted != PWD and (client is None or client.require_acr is None)
    until = sign_in_policies.put_off_until(required, known.user.second_factor_asked_at)
    return until if may and until > clock.now() else None


def after_enrolment(place: Place, added: Added) -> Response:
    """Redirect to the new recovery codes, if there are any, and on from there."""
    response = redirect(place.address(CODES), 303)
    if isinstance(place.known, Visitor):
        renew_session(response, place.known, added.cookie)
    once.keep(place.owner, factors.CODES, " ".join(added.recovery_codes))
    return response


def _add(place: Place, form: AppForm) -> Added | None:
    session, issuer, locale = database(), current_issuer(), language.current().code
    known = place.known
    if isinstance(known, OpenAttempt):
        return signing_in.with_new_app(session, issuer, known, form.confirmed, locale)
    client_id = place.client_id
    return second_factors.add_app_in(session, issuer, known, form.confirmed, locale, client_id)


@blueprint.get("/login/password")
@for_step(Step.PASSWORD)
def show_password(place: Place) -> Response:
    """Show the form for the password that the person must choose."""
    return _password_page(place, NewPasswordForm())


@blueprint.post("/login/password")
@for_step(Step.PASSWORD)
def choose_password(place: Place) -> Response:
    """Set the password and go on with the sign-in."""
    assert isinstance(place.known, OpenAttempt)  # noqa: S101 - this step is none of a session
    form, issuer = NewPasswordForm(), current_issuer()
    if not form.validate():
        return _password_page(place, form, 400)
    new = form.password.data or ""
    try:
        outcome = signing_in.with_new_password(
            database(), issuer, place.known, new, session_cookie(), device.sent()
        )
    except BadRequest as problem:
        database().rollback()
        for reason in reasons(problem):
            form.refuse(reason, "password")
        return _password_page(place, form, 400)
    except Busy as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return _password_page(place, form, refusal.status, refusal.retry_after)
    database().commit()
    if outcome is None:
        return redirect(place.address("/login"), 303)
    return go_on(outcome, place.authorization, place.home)


@blueprint.get(CODES)
@for_place
def show_codes(place: Place) -> Response:
    """Show new recovery codes, once."""
    codes = once.take(place.owner, factors.CODES)
    if not codes:
        return redirect(place.address("/login/done"), 303)
    return step_page("codes", place, codes=codes.split())


@blueprint.get("/login/done")
@for_place
def finish(place: Place) -> Response:
    """Start the session of a sign-in in which all is proven."""
    if isinstance(place.known, Visitor):
        return continue_with(place.authorization, place.home)
    outcome = signing_in.finish(
        database(), current_issuer(), place.known, session_cookie(), device.sent()
    )
    database().commit()
    if outcome is None:
        return redirect(place.address("/login"), 303)
    return go_on(outcome, place.authorization, place.home)


def standing_of(visitor: Visitor) -> Standing:
    """Return what the session of a visitor allows with respect to second factors."""
    return second_factors.standing_of(database(), current_issuer(), visitor)


def factor_page(
    place: Place, form: CodeForm, status: int = 200, retry_after: int | None = None
) -> Response:
    """Return the page that asks for a second factor, with what the person has."""
    form.code.data = None  # a code is of use once
    targets = sent_targets(place)
    known, session = place.known, database()
    if isinstance(known, OpenAttempt):
        progress = signing_in.progress_of(session, current_issuer(), known)
        needs_passkey = progress.wanted == progress.reach == PHR
        device_days = devices.remembered_days(session, known.user.id)
    else:
        needs_passkey = place.authorization is None and standing_of(known).needs_passkey
        device_days = 0
    return step_page(
        "factor",
        place,
        status,
        retry_after,
        form=form,
        device_days=device_days,
        passkey=place.passkey_to_prove(),
        by_passkey=place.address(PROVE_PASSKEY),
        by_code=place.address(PAGES[Step.SECOND]),
        needs_passkey=needs_passkey,
        targets=targets,
        by_sending=place.address(SEND),
        notice=request.args.get("notice"),
        not_now=place.address(DECLINE) if place.may_decline else None,
        has_app=bool(factor_rules.list_apps(session, known.user.id)),
    )


def sent_targets(place: Place) -> list[SentTarget]:
    """Return where codes are sent to the person, and what was sent for this sign-in."""
    session = database()
    return [
        SentTarget(target, sent_codes.find_sent(session, target, place.owner))
        for target in factor_rules.targets_of(session, place.known.user)
    ]


def _code_page(
    place: Place, form: CodeForm, status: int = 200, retry_after: int | None = None
) -> Response:
    form.code.data = None
    return step_page("enrolment_code", place, status, retry_after, form=form)


def enrolment_page(
    place: Place,
    form: AppForm,
    status: int = 200,
    retry_after: int | None = None,
    *,
    named: NameForm | None = None,
) -> Response:
    """Return the page that adds a second factor: an app, or a passkey where there can be one."""
    required = place.required
    takes_app = rules.TOTP in required.factors and required.wanted != PHR
    passkey = new_passkey(place, named) if rules.PASSKEY in required.factors else {}
    return step_page(
        "enrol",
        place,
        status,
        retry_after,
        form=form,
        shown=factors.show(place.known.user, form) if takes_app else None,
        by_passkey=place.address(ADD_PASSKEY),
        by_app=place.address(PAGES[Step.ENROL]),
        put_off=place.address(PUT_OFF),
        put_off_until=_put_off_until(place),
        **passkey,
    )


def new_passkey(place: Place, named: NameForm | None) -> dict[str, Any]:
    """Return what a page needs to add a passkey."""
    named = named or NameForm(formdata=None)
    named.passkey_name.data = named.passkey_name.data or passkeys.suggested_name()
    return {"passkey": place.passkey_to_add(), "named": named}


def _password_page(
    place: Place, form: NewPasswordForm, status: int = 200, retry_after: int | None = None
) -> Response:
    user = place.known.user
    return step_page(
        "password",
        place,
        status,
        retry_after,
        form=form,
        is_set_by_others=user.must_change_password,
        is_stolen=isinstance(place.known, OpenAttempt) and Proof.STOLEN in place.known.proofs,
        password_hint=hint(policies.of_user(database(), user.id)),
    )


def step_page(
    template: str,
    place: Place,
    status: int = 200,
    retry_after: int | None = None,
    *,
    form: Form | None = None,
    **context: Any,
) -> Response:
    """Return a page of a sign-in."""
    authorization = place.authorization
    text = render_template(
        f"pages/signin/{template}.html",
        form=form,
        user=place.known.user,
        client=None if authorization is None else authorization.client,
        handle=None if authorization is None else authorization.handle,
        other=place.address("/login", account="other"),
        onward=place.address("/login/done"),
        **context,
    )
    response = make_response(text, status)
    response.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
