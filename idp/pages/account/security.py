"""The account pages about second factors: authenticator apps and recovery codes."""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from idp.account import activity, second_factors
from idp.account.second_factors import Standing
from idp.directory.devices import service as devices
from idp.directory.factors import recovery
from idp.directory.factors import service as rules
from idp.oauth.visitor import Visitor
from idp.pages import factors, once
from idp.pages.account.views import for_visitor, page
from idp.pages.factors import AppForm
from idp.pages.language import current as current_language
from idp.pages.messages import reasons
from idp.pages.visitor import ask_for_second_factor, ask_to_sign_in, renew_session
from idp.platform.errors import Unprocessable
from idp.platform.web.views import current_issuer, database

HOME = "/account/security"
APP = f"{HOME}/authenticator"
CODES = f"{HOME}/codes"

blueprint = Blueprint("security", __name__)


@blueprint.get(HOME)
@for_visitor
def show(visitor: Visitor) -> Response:
    """Show how the person signs in."""
    return _overview(visitor)


@blueprint.get(APP)
@for_visitor
def show_app(visitor: Visitor) -> Response:
    """Show the secret of a new authenticator app."""
    standing = second_factors.standing_of(database(), visitor)
    return _ask_first(standing, APP) or _app_page(visitor, AppForm())


@blueprint.post(APP)
@for_visitor
def add_app(visitor: Visitor) -> Response:
    """Add the app whose code is right; the first one comes with recovery codes."""
    standing = second_factors.standing_of(database(), visitor)
    asked = _ask_first(standing, APP)
    if asked is not None:
        return asked
    form = AppForm()
    session, issuer, locale = database(), current_issuer(), current_language().code
    added = factors.add(
        form,
        lambda: second_factors.add_app_in(session, issuer, visitor, form.confirmed, locale),
    )
    if isinstance(added, factors.Refusal):
        response = _app_page(visitor, form, added.status)
        if added.retry_after is not None:
            response.headers["Retry-After"] = str(added.retry_after)
        return response
    response = _show_codes(visitor, added.recovery_codes, "added")
    renew_session(response, visitor, added.cookie)
    return response


@blueprint.post(f"{APP}/<int:app_id>/remove")
@for_visitor
def remove_app(visitor: Visitor, app_id: int) -> Response:
    """Remove an authenticator app."""
    asked = _ask_first(second_factors.standing_of(database(), visitor), HOME)
    if asked is not None:
        return asked
    try:
        second_factors.remove_app(
            database(), current_issuer(), visitor.user, app_id, current_language().code
        )
    except Unprocessable as problem:
        database().rollback()
        return _overview(visitor, 400, refusal=reasons(problem)[0])
    database().commit()
    return redirect(f"{HOME}?notice=removed", 303)


@blueprint.post(CODES)
@for_visitor
def make_codes(visitor: Visitor) -> Response:
    """Make new recovery codes in place of the old ones."""
    asked = _ask_first(second_factors.standing_of(database(), visitor), HOME)
    if asked is not None:
        return asked
    try:
        codes = second_factors.make_recovery_codes(
            database(), current_issuer(), visitor.user, current_language().code
        )
    except Unprocessable as problem:
        database().rollback()
        return _overview(visitor, 400, refusal=reasons(problem)[0])
    database().commit()
    return _show_codes(visitor, codes, "made")


@blueprint.get(CODES)
@for_visitor
def show_codes(visitor: Visitor) -> Response:
    """Show new recovery codes, once."""
    codes = once.take(_owner(visitor), factors.CODES)
    if codes is None:
        return redirect(HOME, 303)
    return page("codes", visitor, codes=codes.split())


def _ask_first(standing: Standing, return_to: str) -> Response | None:
    """Ask for the highest level that a person can reach, unless it was proven recently."""
    if standing.may_change:
        return None
    if standing.has_factor:
        return ask_for_second_factor(return_to)
    return ask_to_sign_in(prompt="login", return_to=return_to)


def _show_codes(visitor: Visitor, codes: list[str], notice: str) -> Response:
    if not codes:
        return redirect(f"{HOME}?notice={notice}", 303)
    once.keep(_owner(visitor), factors.CODES, " ".join(codes))
    return redirect(CODES, 303)


def _owner(visitor: Visitor) -> str:
    return f"session:{visitor.browser.id}"


def _app_page(visitor: Visitor, form: AppForm, status: int = 200) -> Response:
    shown = factors.show(visitor.user, form)
    return page("authenticator", visitor, status, form=form, shown=shown)


def _overview(visitor: Visitor, status: int = 200, *, refusal: str | None = None) -> Response:
    apps = rules.list_apps(database(), visitor.user.id)
    known = devices.list_for(database(), visitor.user)
    return page(
        "security",
        visitor,
        status,
        apps=apps,
        may_add=len(apps) < rules.MOST,
        codes_left=recovery.count_left(database(), visitor.user.id) if apps else 0,
        few=recovery.FEW,
        number=recovery.NUMBER,
        refusal=refusal,
        password_changed_at=activity.last_password_change(database(), visitor.user),
        remembered=sum(each.remembered_until is not None for each in known),
        device_count=len(known),
    )
