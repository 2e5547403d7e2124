"""The account pages: profile, addresses, password, sessions, applications."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from flask import Blueprint, make_response, redirect, render_template, request
from flask import session as browser_session
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import addresses, organisations, password_change, second_factors, sign_in
from idp.account import profile as profiles
from idp.account import sessions as browser_sessions
from idp.account.addresses import NewAddress
from idp.directory.policies import snapshot as policies
from idp.directory.registration.codes import Channel
from idp.directory.users import profile as rules
from idp.oauth import consents
from idp.oauth.visitor import Visitor
from idp.pages import brand, device, return_path
from idp.pages.account import lines
from idp.pages.account.forms import (
    ChangePasswordForm,
    NewEmailForm,
    NewMobileForm,
    PictureForm,
    ProfileForm,
)
from idp.pages.language import LANGUAGES
from idp.pages.language import current as current_language
from idp.pages.messages import reasons, retry_message, translate
from idp.pages.password_hint import hint
from idp.pages.signin.forms import AddressCodeForm
from idp.pages.visitor import ask_for_second_factor, ask_to_sign_in, current_visitor
from idp.platform import clock
from idp.platform.errors import BadRequest, Busy, Conflict, TooManyRequests
from idp.platform.sessions import cookie as cookies
from idp.platform.web.views import current_issuer, current_runtime, database
from idp.publishing.files.limits import PICTURE, UPLOADS
from idp.publishing.files.service import Infected

HOME = "/account"
PASSWORD = "/account/password"  # noqa: S105 - an address
SESSIONS = "/account/sessions"
APPLICATIONS = "/account/applications"
ORGANISATIONS = "/account/organisations"
EDIT = "/account/profile"
ADDRESS = "/account/<any(email, mobile):kind>"
CODE_MINUTES = 30
CHANNELS = {"email": Channel.MAIL, "mobile": Channel.SMS}
ADDRESS_FORMS: dict[str, type[NewEmailForm | NewMobileForm]] = {
    "email": NewEmailForm,
    "mobile": NewMobileForm,
}
SECTIONS = {
    **dict.fromkeys(("edit", "address", "code"), "profile"),
    **dict.fromkeys(("authenticator", "codes"), "security"),
}
"""The sections of pages that have none of their own."""

Parameters = ParamSpec("Parameters")

blueprint = Blueprint("account", __name__)


def for_visitor(
    view: Callable[Concatenate[Visitor, Parameters], Response],
) -> Callable[Parameters, Response]:
    """Pass the signed-in person to the view; require a recent sign-in."""

    @wraps(view)
    def guarded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Response:
        visitor = current_visitor()
        if visitor is None or not sign_in.is_recent(visitor):
            back = return_path.parse(request.path) if request.method == "GET" else None
            return ask_to_sign_in(return_to=back or HOME)
        brand.show_tenant(visitor.browser.tenant_id)
        return view(visitor, *args, **kwargs)

    return guarded


def with_second_factor(
    view: Callable[Concatenate[Visitor, Parameters], Response],
) -> Callable[Concatenate[Visitor, Parameters], Response]:
    """Require a recent second factor of people who have one."""

    @wraps(view)
    def guarded(
        visitor: Visitor, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Response:
        if second_factors.must_step_up(database(), current_issuer(), visitor):
            return ask_for_second_factor(return_path.parse(request.path) or HOME)
        return view(visitor, *args, **kwargs)

    return guarded


@blueprint.get(HOME)
@for_visitor
def profile(visitor: Visitor) -> Response:
    """Show the details of the person."""
    names = {language.tag: language.name for language in LANGUAGES.values()}
    is_offered = second_factors.is_offered(database(), current_issuer(), visitor.user)
    return page("profile", visitor, language_names=names, is_offered=is_offered)


@blueprint.get(EDIT)
@for_visitor
def show_edit(visitor: Visitor) -> Response:
    """Show the form for the details of the person."""
    form = ProfileForm(data=rules.shown(visitor.user))
    return _edit_page(visitor, form)


@blueprint.post(EDIT)
@for_visitor
def edit(visitor: Visitor) -> Response:
    """Change the details of the person."""
    form = ProfileForm()
    if not form.validate():
        return _edit_page(visitor, form, 400)
    try:
        profiles.change(database(), current_issuer(), visitor.user, form.values())
    except BadRequest as problem:
        database().rollback()
        for field, texts in problem.fields.items():
            for text in texts:
                form.refuse(translate(text), field)
        return _edit_page(visitor, form, 400)
    database().commit()
    return redirect(f"{HOME}?notice=changed", 303)


@blueprint.url_value_preprocessor
def _allow_larger_body(endpoint: str | None, _values: object) -> None:
    """Allow a larger body for the picture of a person who is signed in."""
    if endpoint == "account.change_picture" and current_visitor() is not None:
        request.max_content_length = UPLOADS[PICTURE]


@blueprint.post(PICTURE)
@for_visitor
def change_picture(visitor: Visitor) -> Response:
    """Store a new picture."""
    form = PictureForm()
    sent = request.files.get(form.file.name)
    if not form.validate() or sent is None:
        if not form.mistakes:
            form.refuse(_("Choose a picture."), "file")
        return _edit_page(visitor, None, 400, picture=form)
    try:
        with profiles.new_picture(
            database(), current_issuer(), visitor.user, sent.stream, sent.filename or ""
        ):
            database().commit()
    except Infected as problem:
        form.refuse(reasons(problem)[0], "file")
    except BadRequest:
        form.refuse(_("Choose a JPEG or PNG picture of at most 5 MB."), "file")
    except TooManyRequests as wait:
        form.refuse(retry_message(wait), "file")
        response = _edit_page(visitor, None, 429, picture=form)
        response.headers["Retry-After"] = str(wait.retry_after)
        return response
    if form.mistakes:
        database().rollback()
        return _edit_page(visitor, None, 400, picture=form)
    return redirect(f"{HOME}?notice=changed", 303)


@blueprint.post(f"{PICTURE}/remove")
@for_visitor
def remove_picture(visitor: Visitor) -> Response:
    """Remove the picture."""
    profiles.change(database(), current_issuer(), visitor.user, {"picture": None})
    database().commit()
    return redirect(f"{HOME}?notice=changed", 303)


@blueprint.get(ADDRESS)
@for_visitor
@with_second_factor
def show_address(visitor: Visitor, kind: str) -> Response:
    """Show the form for a new e-mail address or mobile number."""
    return page("address", visitor, kind=kind, form=ADDRESS_FORMS[kind]())


@blueprint.post(ADDRESS)
@for_visitor
@with_second_factor
def ask_for_address(visitor: Visitor, kind: str) -> Response:
    """Send a code to the new address; the answer does not reveal whether it is taken."""
    form = ADDRESS_FORMS[kind]()
    if not form.validate():
        return page("address", visitor, 400, kind=kind, form=form)
    new = NewAddress(CHANNELS[kind], form.address.data or "", password=form.current.data or "")
    try:
        is_allowed = addresses.send_code(
            database(), current_issuer(), visitor.user, new, current_language().code
        )
    except (TooManyRequests, Busy) as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        response = page("address", visitor, refusal.status, kind=kind, form=form)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    except BadRequest as problem:
        form.refuse(reasons(problem)[0], "address")
        return page("address", visitor, 400, kind=kind, form=form)
    database().commit()
    if not is_allowed:
        form.refuse(_("This is not your current password."), "current")
        return page("address", visitor, 400, kind=kind, form=form)
    until = int(clock.now().timestamp()) + CODE_MINUTES * 60
    browser_session[f"new_{kind}"] = [visitor.user.id, new.address, until]
    return redirect(f"/account/{kind}/code", 303)


@blueprint.get(f"{ADDRESS}/code")
@for_visitor
@with_second_factor
def show_code(visitor: Visitor, kind: str) -> Response:
    """Show the form for the code sent to the new address."""
    address = _pending_address(visitor, kind)
    if address is None:
        return redirect(f"/account/{kind}", 303)
    return page("code", visitor, kind=kind, form=AddressCodeForm(), address=address)


@blueprint.post(f"{ADDRESS}/code")
@for_visitor
@with_second_factor
def change_address(visitor: Visitor, kind: str) -> Response:
    """Change the address when the code is right."""
    address = _pending_address(visitor, kind)
    if address is None:
        return redirect(f"/account/{kind}", 303)
    form = AddressCodeForm()
    if not form.validate():
        return page("code", visitor, 400, kind=kind, form=form, address=address)
    new = NewAddress(CHANNELS[kind], address, code=(form.code.data or "").strip())
    try:
        is_changed = addresses.change(
            database(), current_issuer(), visitor.user, new, current_language().code
        )
    except Conflict as problem:
        database().rollback()
        form.refuse(reasons(problem)[0])
        return page("code", visitor, 400, kind=kind, form=form, address=address)
    database().commit()
    if not is_changed:
        form.refuse(_("This code is wrong or has expired."), "code")
        return page("code", visitor, 400, kind=kind, form=form, address=address)
    browser_session.pop(f"new_{kind}", None)
    return redirect(f"{HOME}?notice=changed", 303)


@blueprint.get(PASSWORD)
@for_visitor
def show_password(visitor: Visitor) -> Response:
    """Show the form for a new password."""
    return _password_page(visitor, ChangePasswordForm())


@blueprint.post(PASSWORD)
@for_visitor
def change_password(visitor: Visitor) -> Response:
    """Change the password and end all other sessions."""
    form = ChangePasswordForm()
    if not form.validate():
        return _password_page(visitor, form, 400)
    issuer = current_issuer()
    remember = visitor.browser.remember
    try:
        value = password_change.change(
            database(),
            issuer,
            visitor,
            form.current.data or "",
            form.password.data or "",
            current_language().code,
        )
    except (TooManyRequests, Busy) as refusal:
        database().rollback()
        form.refuse(
            retry_message(refusal), "current" if refusal.status == TooManyRequests.status else None
        )
        response = _password_page(visitor, form, refusal.status)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    except BadRequest as problem:
        for reason in reasons(problem):
            form.refuse(reason, "password")
        return _password_page(visitor, form, 400)
    database().commit()
    if value is None:
        form.refuse(_("This is not your current password."), "current")
        return _password_page(visitor, form, 400)
    response = redirect(f"{PASSWORD}?notice=changed", 303)
    cookies.set_session(response, issuer, value, current_runtime().settings, remember=remember)
    return response


def _password_page(visitor: Visitor, form: ChangePasswordForm, status: int = 200) -> Response:
    required = policies.of_user(database(), visitor.user.id)
    return page("password", visitor, status, form=form, password_hint=hint(required))


@blueprint.get(SESSIONS)
@for_visitor
def show_sessions(visitor: Visitor) -> Response:
    """List where the person is signed in."""
    rows = browser_sessions.list_live(database(), visitor.user)
    shown = lines.of_sessions(database(), current_issuer(), visitor, rows)
    known = lines.of_devices(database(), current_issuer(), visitor, device.cookie())
    return page("sessions", visitor, lines=shown, devices=known)


@blueprint.post(f"{SESSIONS}/<int:session_id>/end")
@for_visitor
def end_session(visitor: Visitor, session_id: int) -> Response:
    """End one session; ending the current one signs the person out."""
    issuer = current_issuer()
    browser_sessions.end(
        database(), visitor.user, session_id, tenant_id=issuer.tenant_id, by=visitor.user.id
    )
    database().commit()
    if session_id != visitor.browser.id:
        return redirect(f"{SESSIONS}?notice=ended", 303)
    response = redirect("/signed-out", 303)
    cookies.delete_session(response, issuer)
    return response


@blueprint.post(f"{SESSIONS}/end-others")
@for_visitor
def end_other_sessions(visitor: Visitor) -> Response:
    """End all sessions except this one."""
    browser_sessions.end_all(
        database(),
        visitor.user,
        tenant_id=current_issuer().tenant_id,
        by=visitor.user.id,
        but=visitor.browser.id,
    )
    database().commit()
    return redirect(f"{SESSIONS}?notice=ended", 303)


@blueprint.get(APPLICATIONS)
@for_visitor
def show_applications(visitor: Visitor) -> Response:
    """List the applications with access to the account."""
    rows = consents.list_consents(database(), visitor.user.id)
    return page(
        "applications", visitor, lines=lines.of_consents(database(), current_issuer(), rows)
    )


@blueprint.post(f"{APPLICATIONS}/<int:consent_id>/revoke")
@for_visitor
def revoke_consent(visitor: Visitor, consent_id: int) -> Response:
    """Remove the access of an application and revoke its tokens."""
    consents.revoke_consent(database(), visitor.user.id, consent_id)
    database().commit()
    return redirect(f"{APPLICATIONS}?notice=revoked", 303)


@blueprint.get(ORGANISATIONS)
@for_visitor
def show_organisations(visitor: Visitor) -> Response:
    """List the organisations of the person, with their roles there."""
    offered = organisations.list_offered(database(), visitor.user.id, current_issuer())
    only = organisations.find_only(offered)
    chosen = visitor.browser.tenant_id if only is None else only.id
    return page("organisations", visitor, organisations=offered, chosen=chosen)


@blueprint.post(f"{ORGANISATIONS}/<int:tenant_id>/switch")
@for_visitor
def switch_organisation(visitor: Visitor, tenant_id: int) -> Response:
    """Use an organisation for the next sign-ins at applications."""
    organisations.switch(database(), current_issuer(), visitor, tenant_id)
    database().commit()
    return redirect(f"{ORGANISATIONS}?notice=switched", 303)


def _pending_address(visitor: Visitor, kind: str) -> str | None:
    """Return the address to which a code was sent; None when it has expired or there is none."""
    user_id, address, until = browser_session.get(f"new_{kind}") or (0, "", 0)
    if user_id != visitor.user.id or until < clock.now().timestamp():
        return None
    return str(address)


def _edit_page(
    visitor: Visitor,
    form: ProfileForm | None,
    status: int = 200,
    *,
    picture: PictureForm | None = None,
) -> Response:
    if form is None:
        form = ProfileForm(formdata=None, data=rules.shown(visitor.user))
    form.set_choices()
    shown = picture or PictureForm(formdata=None)
    return page("edit", visitor, status, form=form, picture_form=shown)


def page(section: str, visitor: Visitor, status: int = 200, **context: object) -> Response:
    """Return a page of the account."""
    text = render_template(
        f"pages/account/{section}.html",
        section=SECTIONS.get(section, section),
        user=visitor.user,
        notice=request.args.get("notice"),
        **context,
    )
    response = make_response(text, status)
    response.headers["Cache-Control"] = "no-store"
    return response
