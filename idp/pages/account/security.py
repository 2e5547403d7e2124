"""The account pages about passkeys and second factors."""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from idp.account import activity, second_factors
from idp.account.second_factors import Added, NewPasskey, Standing
from idp.directory.devices import service as devices
from idp.directory.factors import passkeys as passkey_rules
from idp.directory.factors import recovery
from idp.directory.factors import service as rules
from idp.directory.policies.rules import PASSKEY, TOTP
from idp.oauth.visitor import Visitor
from idp.pages import factors, once, passkeys
from idp.pages.account.views import HOME as ACCOUNT
from idp.pages.account.views import for_visitor, page
from idp.pages.factors import AppForm
from idp.pages.language import current as current_language
from idp.pages.messages import reasons
from idp.pages.passkeys import NameForm
from idp.pages.visitor import ask_for_second_factor, ask_to_sign_in, renew_session
from idp.platform.errors import NotFound, Unprocessable
from idp.platform.web.views import current_issuer, database

HOME = "/account/security"
APP = f"{HOME}/authenticator"
PASSKEYS = f"{HOME}/passkeys"
NEW_PASSKEY = f"{PASSKEYS}/new"
CODES = f"{HOME}/codes"
DECLINE = f"{HOME}/not-now"

blueprint = Blueprint("security", __name__)


@blueprint.get(HOME)
@for_visitor
def show(visitor: Visitor) -> Response:
    """Show how the person signs in."""
    return _overview(visitor)


@blueprint.post(DECLINE)
@for_visitor
def decline(visitor: Visitor) -> Response:
    """Put off adding a second factor: the account page offers it again in a month."""
    second_factors.decline_offer(database(), visitor.user)
    database().commit()
    return redirect(ACCOUNT, 303)


@blueprint.get(APP)
@for_visitor
def show_app(visitor: Visitor) -> Response:
    """Show the secret of a new authenticator app."""
    _check_offered(visitor, TOTP)
    standing = _standing(visitor)
    return _ask_first(standing, APP) or _app_page(visitor, AppForm())


@blueprint.post(APP)
@for_visitor
def add_app(visitor: Visitor) -> Response:
    """Add the app whose code is right; the first one comes with recovery codes."""
    _check_offered(visitor, TOTP)
    standing = _standing(visitor)
    asked = _ask_first(standing, APP)
    if asked is not None:
        return asked
    form = AppForm()
    session, issuer, locale = database(), current_issuer(), current_language().code
    added = factors.add_app(
        form,
        lambda: second_factors.add_app_in(session, issuer, visitor, form.confirmed, locale),
    )
    if isinstance(added, factors.Refusal):
        response = _app_page(visitor, form, added.status)
        if added.retry_after is not None:
            response.headers["Retry-After"] = str(added.retry_after)
        return response
    return _after_adding(visitor, added, "added")


@blueprint.post(f"{APP}/<int:app_id>/remove")
@for_visitor
def remove_app(visitor: Visitor, app_id: int) -> Response:
    """Remove an authenticator app."""
    asked = _ask_first(_standing(visitor), HOME)
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


@blueprint.get(NEW_PASSKEY)
@for_visitor
def show_new_passkey(visitor: Visitor) -> Response:
    """Show the form that adds a passkey."""
    _check_offered(visitor, PASSKEY)
    return _ask_first(_standing(visitor), NEW_PASSKEY) or _new_passkey_page(visitor)


@blueprint.post(NEW_PASSKEY)
@for_visitor
def add_passkey(visitor: Visitor) -> Response:
    """Add the passkey that the browser made; the first factor comes with recovery codes."""
    _check_offered(visitor, PASSKEY)
    asked = _ask_first(_standing(visitor), NEW_PASSKEY)
    if asked is not None:
        return asked
    form = NameForm()
    session, issuer, locale = database(), current_issuer(), current_language().code
    claim = passkeys.claim_for(_owner(visitor))
    added = factors.add_passkey(
        form,
        lambda: second_factors.add_passkey_in(
            session, issuer, visitor, NewPasskey(claim, form.chosen), locale
        ),
    )
    if isinstance(added, factors.Refusal):
        return _new_passkey_page(visitor, form, added.status)
    return _after_adding(visitor, added, "passkey-added")


@blueprint.get(f"{PASSKEYS}/<int:passkey_id>")
@for_visitor
def show_passkey(visitor: Visitor, passkey_id: int) -> Response:
    """Show the form that renames a passkey."""
    name = _name_of(visitor, passkey_id)
    asked = _ask_first(_standing(visitor), f"{PASSKEYS}/{passkey_id}")
    return asked or page("passkey", visitor, form=NameForm(passkey_name=name))


@blueprint.post(f"{PASSKEYS}/<int:passkey_id>")
@for_visitor
def rename_passkey(visitor: Visitor, passkey_id: int) -> Response:
    """Rename a passkey."""
    _name_of(visitor, passkey_id)
    asked = _ask_first(_standing(visitor), f"{PASSKEYS}/{passkey_id}")
    if asked is not None:
        return asked
    form = NameForm()
    if not form.validate():
        return page("passkey", visitor, 400, form=form)
    second_factors.rename_passkey(
        database(),
        current_issuer(),
        visitor.user,
        passkey_id,
        form.chosen,
        current_language().code,
    )
    database().commit()
    return redirect(f"{HOME}?notice=passkey-renamed", 303)


@blueprint.post(f"{PASSKEYS}/<int:passkey_id>/remove")
@for_visitor
def remove_passkey(visitor: Visitor, passkey_id: int) -> Response:
    """Remove a passkey."""
    asked = _ask_first(_standing(visitor), HOME)
    if asked is not None:
        return asked
    try:
        second_factors.remove_passkey(
            database(), current_issuer(), visitor.user, passkey_id, current_language().code
        )
    except Unprocessable as problem:
        database().rollback()
        return _overview(visitor, 400, refusal=reasons(problem)[0])
    database().commit()
    return redirect(f"{HOME}?notice=passkey-removed", 303)


@blueprint.post(CODES)
@for_visitor
def make_codes(visitor: Visitor) -> Response:
    """Make new recovery codes in place of the old ones."""
    asked = _ask_first(_standing(visitor), HOME)
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


def _standing(visitor: Visitor) -> Standing:
    return second_factors.standing_of(database(), current_issuer(), visitor)


def _check_offered(visitor: Visitor, kind: str) -> None:
    """Raise NotFound for a kind of second factor that the policy does not allow to be added."""
    if kind not in second_factors.offered_kinds(database(), current_issuer(), visitor.user):
        raise NotFound


def _name_of(visitor: Visitor, passkey_id: int) -> str:
    """Return the name of a passkey of the person at this issuer; raise NotFound for any other."""
    for row in passkey_rules.list_of(database(), visitor.user.id):
        if (row.id, row.issuer_tenant_id) == (passkey_id, current_issuer().tenant_id):
            return row.name
    raise NotFound


def _after_adding(visitor: Visitor, added: Added, notice: str) -> Response:
    response = _show_codes(visitor, added.recovery_codes, notice)
    renew_session(response, visitor, added.cookie)
    return response


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


def _new_passkey_page(
    visitor: Visitor, form: NameForm | None = None, status: int = 200
) -> Response:
    form = form or NameForm(passkey_name=passkeys.suggested_name())
    options = passkey_rules.creation_options(
        database(), current_issuer(), visitor.user, _owner(visitor)
    )
    return page("new_passkey", visitor, status, form=form, passkey=passkeys.written(options))


def _overview(visitor: Visitor, status: int = 200, *, refusal: str | None = None) -> Response:
    session, issuer, user = database(), current_issuer(), visitor.user
    apps = rules.list_apps(session, user.id)
    own = passkey_rules.list_of(session, user.id)
    signals = passkey_rules.signals(session, issuer, user, own)
    known = devices.list_for(session, user)
    offered = second_factors.offered_kinds(session, issuer, user)
    return page(
        "security",
        visitor,
        status,
        apps=apps,
        may_add=TOTP in offered and len(apps) < rules.MOST,
        passkeys=own,
        issuer_tenant_id=issuer.tenant_id,
        can_have_passkeys=issuer.passkey_host is not None,
        may_add_passkey=PASSKEY in offered and len(own) < passkey_rules.MOST,
        rp_id=None if signals is None else signals["rpId"],
        signals=passkeys.written(signals),
        targets=rules.targets_of(session, user),
        codes_left=recovery.count_left(session, user.id) if apps or own else 0,
        few=recovery.FEW,
        number=recovery.NUMBER,
        refusal=refusal,
        password_changed_at=activity.last_password_change(database(), visitor.user),
        remembered=sum(each.remembered_until is not None for each in known),
        device_count=len(known),
    )
