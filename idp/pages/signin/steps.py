"""The pages of a sign-in after name and password: second factor, its enrolment, recovery codes.

Each of them asks whose turn it is, and redirects to that page. Without a sign-in under way they
raise the level of the session, for a page or an application that asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, redirect, render_template
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import second_factors
from idp.account import sign_in as signing_in
from idp.account.second_factors import Added
from idp.account.sign_in import Outcome
from idp.directory.authentication.attempts import OpenAttempt
from idp.directory.authentication.steps import Step
from idp.directory.users.models import User
from idp.oauth.visitor import Visitor
from idp.pages import factors, language, once
from idp.pages.attempt import current_attempt, has_cookie
from idp.pages.factors import AppForm, CodeForm
from idp.pages.form import Form
from idp.pages.messages import retry_message
from idp.pages.pending import (
    Authorization,
    address_within,
    continue_with,
    destination,
    find_authorization,
    go_on,
    step_address,
)
from idp.pages.visitor import current_visitor, renew_session, session_cookie
from idp.platform.errors import TooManyRequests
from idp.platform.web.views import current_issuer, database

CODES = "/login/codes"

blueprint = Blueprint("steps", __name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sign-in stands: what it is for, and who is known by what."""

    authorization: Authorization | None
    home: str
    attempt: OpenAttempt | None
    visitor: Visitor | None

    @property
    def user(self) -> User | None:
        """The person who proved a first factor."""
        if self.attempt is not None:
            return self.attempt.user
        return None if self.visitor is None else self.visitor.user

    @property
    def owner(self) -> str:
        """Name of the attempt or the session."""
        if self.attempt is not None:
            return f"attempt:{self.attempt.row.id}"
        return "" if self.visitor is None else f"session:{self.visitor.browser.id}"

    def address(self, path: str, **more: str) -> str:
        """Return the address of a page of this sign-in."""
        return address_within(path, self.authorization, self.home, **more)

    def elsewhere(self, step: Step) -> Response | None:
        """Redirect to the page whose turn it is, unless it is the page of this step."""
        if self.attempt is not None:
            due = signing_in.due_step(database(), self.attempt)
            address = step_address(due, self.authorization, self.home)
            return None if due is step else redirect(address, 303)
        if self.visitor is None:
            return redirect(self.address("/login", **_ended()), 303)
        return self._step_up(self.visitor, step)

    def _step_up(self, visitor: Visitor, step: Step) -> Response | None:
        """Redirect unless a session lacks what a step proves."""
        standing = second_factors.standing_of(database(), visitor)
        if step is Step.SECOND and standing.has_factor and not standing.may_change:
            return None
        if step is Step.ENROL and self.authorization is not None and not standing.has_factor:
            address = self.address("/login", prompt="login")
            return None if standing.may_change else redirect(address, 303)
        return continue_with(self.authorization, self.home)


def _place() -> Place:
    """Find out where the sign-in stands to which a page belongs."""
    return Place(find_authorization(), destination(), current_attempt(), current_visitor())


def _ended() -> dict[str, str]:
    """Return the notice for a browser whose sign-in ended before it was complete."""
    return {"notice": "ended"} if has_cookie() else {}


@blueprint.get("/login/factor")
def show_factor() -> Response:
    """Ask for a code of a second factor."""
    place = _place()
    return place.elsewhere(Step.SECOND) or _factor_page(place, CodeForm())


@blueprint.post("/login/factor")
def prove() -> Response:
    """Check the code; go on with the sign-in, or raise the level of the session."""
    place = _place()
    elsewhere = place.elsewhere(Step.SECOND)
    if elsewhere is not None:
        return elsewhere
    form = CodeForm()
    if not form.validate():
        return _factor_page(place, form, 400)
    try:
        outcome = _check(place, form.code.data or "")
    except TooManyRequests as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return _factor_page(place, form, refusal.status, refusal.retry_after)
    database().commit()
    if outcome is None:
        form.refuse(_("This code is wrong or was used already."), "code")
        return _factor_page(place, form, 400)
    return go_on(outcome, place.authorization, place.home)


def _check(place: Place, code: str) -> Outcome | None:
    locale = language.current().code
    if place.attempt is not None:
        return signing_in.with_code(
            database(), current_issuer(), place.attempt, code, session_cookie(), locale
        )
    assert place.visitor is not None  # noqa: S101 - everybody else was sent to the sign-in
    cookie = second_factors.step_up(database(), current_issuer(), place.visitor, code, locale)
    if cookie is None:
        return None
    return Outcome(Step.DONE, cookie, place.visitor.browser.remember)


@blueprint.get("/login/enrol")
def show_enrolment() -> Response:
    """Show the secret of a new authenticator app."""
    place = _place()
    return place.elsewhere(Step.ENROL) or _enrolment_page(place, AppForm())


@blueprint.post("/login/enrol")
def enrol() -> Response:
    """Add the app whose code is right, and show the recovery codes next."""
    place = _place()
    elsewhere = place.elsewhere(Step.ENROL)
    if elsewhere is not None:
        return elsewhere
    form = AppForm()
    added = factors.add(form, lambda: _add(place, form))
    if isinstance(added, factors.Refusal):
        return _enrolment_page(place, form, added.status, added.retry_after)
    response = redirect(place.address(CODES), 303)
    if place.visitor is not None:
        renew_session(response, place.visitor, added.cookie)
    once.keep(place.owner, factors.CODES, " ".join(added.recovery_codes))
    return response


def _add(place: Place, form: AppForm) -> Added | None:
    session, issuer, locale = database(), current_issuer(), language.current().code
    if place.attempt is not None:
        return signing_in.with_new_app(session, issuer, place.attempt, form.confirmed, locale)
    assert place.visitor is not None  # noqa: S101 - everybody else was sent to the sign-in
    return second_factors.add_app_in(session, issuer, place.visitor, form.confirmed, locale)


@blueprint.get(CODES)
def show_codes() -> Response:
    """Show new recovery codes, once."""
    place = _place()
    if place.user is None:
        return redirect(place.address("/login", **_ended()), 303)
    codes = once.take(place.owner, factors.CODES)
    if codes is None:
        return redirect(place.address("/login/done"), 303)
    return _page("codes", place, codes=codes.split())


@blueprint.get("/login/done")
def finish() -> Response:
    """Start the session of a sign-in in which all is proven."""
    place = _place()
    if place.attempt is None:
        return continue_with(place.authorization, place.home)
    outcome = signing_in.finish(database(), current_issuer(), place.attempt, session_cookie())
    database().commit()
    if outcome is None:
        return redirect(place.address("/login"), 303)
    return go_on(outcome, place.authorization, place.home)


def _factor_page(
    place: Place, form: CodeForm, status: int = 200, retry_after: int | None = None
) -> Response:
    form.code.data = None  # a code is of use once
    return _page("factor", place, status, retry_after, form=form)


def _enrolment_page(
    place: Place, form: AppForm, status: int = 200, retry_after: int | None = None
) -> Response:
    assert place.user is not None  # noqa: S101 - the page is that of a step of a person
    shown = factors.show(place.user, form)
    return _page("enrol", place, status, retry_after, form=form, shown=shown)


def _page(
    template: str,
    place: Place,
    status: int = 200,
    retry_after: int | None = None,
    *,
    form: Form | None = None,
    **context: Any,
) -> Response:
    authorization = place.authorization
    text = render_template(
        f"pages/signin/{template}.html",
        form=form,
        user=place.user,
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
