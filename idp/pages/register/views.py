"""The pages of registration: number, its code, e-mail address, its code, then the account."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import registration as registering
from idp.account import sign_in
from idp.directory.policies import snapshot as policies
from idp.directory.registration import service as registration
from idp.directory.registration.codes import Channel
from idp.directory.registration.service import Refused, Registration
from idp.pages import device, language
from idp.pages.form import Form
from idp.pages.messages import reasons, retry_message, send_refusal, translate
from idp.pages.password_hint import hint
from idp.pages.pending import find_live_authorization, go_on
from idp.pages.register import progress
from idp.pages.register.forms import AccountForm
from idp.pages.register.progress import Progress
from idp.pages.signin.forms import AddressCodeForm, EmailForm, MobileForm
from idp.pages.visitor import session_cookie
from idp.platform.errors import BadRequest, Busy, Conflict, NotFound, TooManyRequests
from idp.platform.web.csrf import for_anyone
from idp.platform.web.views import current_issuer, database

HOME = "/register"
ACCOUNT = "/register/account"
ADDRESS = "/register/<any(mobile, email):kind>"
CHANNELS = {"mobile": Channel.SMS, "email": Channel.MAIL}
ADDRESS_FORMS: dict[str, type[MobileForm | EmailForm]] = {"mobile": MobileForm, "email": EmailForm}

blueprint = Blueprint("register", __name__)


@blueprint.before_request
def _only_when_open() -> None:
    """Hide the pages where registration is closed; use the language of the request."""
    is_open = registration.is_open(database(), current_issuer())
    database().commit()
    if not is_open:
        raise NotFound
    find_live_authorization()


@blueprint.get(HOME)
def show() -> Response:
    """Redirect to the first question."""
    return _redirect("/register/mobile")


@blueprint.get(ADDRESS)
def show_address(kind: str) -> Response:
    """Show the form for the number or address, once the one before is proven."""
    state = progress.load()
    if not _may_ask(state, kind):
        return _redirect_next(state)
    form = ADDRESS_FORMS[kind]()
    form.address.data = form.address.data or state.addresses.get(kind)
    return _page("address", form, kind=kind)


@blueprint.post(ADDRESS)
@for_anyone
def ask(kind: str) -> Response:
    """Send a code; the answer does not reveal whether the number or address is taken."""
    state = progress.load()
    if not _may_ask(state, kind):
        return _redirect_next(state)
    form = ADDRESS_FORMS[kind]()
    if not form.validate():
        return _page("address", form, 400, kind=kind)
    address = form.address.data or ""
    refused = _send(form, kind, address)
    if refused is not None:
        return _page("address", form, *refused, kind=kind)
    database().commit()
    state.set_address(kind, address)
    return _redirect(f"/register/{kind}/code")


@blueprint.get(f"{ADDRESS}/code")
def show_code(kind: str) -> Response:
    """Show the form for the code."""
    state = progress.load()
    if not _may_prove(state, kind):
        return _redirect_next(state)
    return _code_page(AddressCodeForm(), state, kind)


@blueprint.post(f"{ADDRESS}/code")
@for_anyone
def prove(kind: str) -> Response:
    """Check the code and continue with the next question."""
    state = progress.load()
    if not _may_prove(state, kind):
        return _redirect_next(state)
    form = AddressCodeForm()
    if not form.validate():
        return _code_page(form, state, kind, 400)
    code = (form.code.data or "").strip()
    try:
        refused = registering.prove(
            database(), CHANNELS[kind], state.addresses[kind], code, state.key
        )
    except TooManyRequests as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return _code_page(form, state, kind, refusal.status, refusal.retry_after)
    database().commit()
    if refused is not None:
        form.refuse(_reason(refused), "code")
        return _code_page(form, state, kind, 400)
    state.set_proven(kind)
    return _redirect_next(state)


@blueprint.post(f"{ADDRESS}/again")
@for_anyone
def send_again(kind: str) -> Response:
    """Send another code."""
    state = progress.load()
    if not _may_prove(state, kind):
        return _redirect_next(state)
    form = AddressCodeForm(formdata=None)
    refused = _send(form, kind, state.addresses[kind], again=True)
    if refused is not None:
        return _code_page(form, state, kind, *refused)
    database().commit()
    return _redirect(f"/register/{kind}/code", notice="sent")


@blueprint.get(ACCOUNT)
def show_account() -> Response:
    """Show the form for a name and a password."""
    state = progress.load()
    if state.next_kind() is not None:
        return _redirect_next(state)
    return _account_page(AccountForm(), state.addresses["email"])


@blueprint.post(ACCOUNT)
@for_anyone
def create() -> Response:
    """Create the account and sign the person in."""
    state = progress.load()
    if state.next_kind() is not None:
        return _redirect_next(state)
    email = state.addresses["email"]
    form = AccountForm()
    if not form.validate():
        return _account_page(form, email, 400)
    new = Registration(
        mobile=state.addresses["mobile"],
        email=email,
        password=form.password.data or "",
        nick_name=form.nick_name.data,
        locale=language.current().tag,
    )
    try:
        outcome = registering.register(database(), current_issuer(), new, state.key)
    except (TooManyRequests, Busy) as refusal:
        database().rollback()  # the proofs stay valid
        form.refuse(retry_message(refusal))
        return _account_page(form, email, refusal.status, refusal.retry_after)
    except (BadRequest, Conflict) as problem:
        database().rollback()
        for reason in reasons(problem):
            form.refuse(reason, "password" if "password" in problem.fields else None)
        return _account_page(form, email, 400)
    if isinstance(outcome, Refused):
        database().commit()
        progress.forget()
        form.refuse(_reason(outcome, is_last=True))
        return _account_page(form, email, 400)
    authorization = find_live_authorization()
    client_id = None if authorization is None else authorization.client.client_id
    signed_in = sign_in.proceed(
        database(), current_issuer(), outcome, session_cookie(), device.sent(), client_id=client_id
    )
    database().commit()
    progress.forget()
    return go_on(signed_in, authorization, "/account")


def _may_ask(state: Progress, kind: str) -> bool:
    """Return whether an address may be asked for: those before it are proven."""
    earlier = progress.KINDS[: progress.KINDS.index(kind)]
    return all(other in state.proven for other in earlier)


def _may_prove(state: Progress, kind: str) -> bool:
    """Return whether a code was sent to an address that is not proven yet."""
    return _may_ask(state, kind) and kind in state.addresses and kind not in state.proven


def _send(
    form: Form, kind: str, address: str, *, again: bool = False
) -> tuple[int, int | None] | None:
    """Send a code; show a refusal in the form and return its status and seconds to wait."""
    try:
        wait = registering.send_code(
            database(),
            current_issuer(),
            CHANNELS[kind],
            address,
            language.current().code,
            again=again,
        )
    except BadRequest as problem:
        for texts in problem.fields.values():
            form.refuse(translate(texts[0]), "address")
        return 400, None
    except Busy as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return refusal.status, refusal.retry_after
    if wait is None:
        return None
    database().rollback()
    form.refuse(send_refusal(wait))
    return 429, wait.seconds


def _reason(refused: Refused, *, is_last: bool = False) -> str:
    """Return why there is no account; a person who proved an address may learn that it has one.

    In the last step codes were right before: the account was created, or it took too long.
    """
    text: str
    if refused is Refused.EMAIL_TAKEN:
        text = _("An account with this e-mail address already exists. Sign in with it.")
    elif refused is Refused.PHONE_TAKEN:
        text = _("An account with this mobile number already exists. Sign in with it.")
    elif is_last:
        text = _("This registration is complete or has expired. Sign in, or start again.")
    else:
        text = _("This code is wrong or has expired.")
    return text


def _redirect_next(state: Progress) -> Response:
    """Redirect to the question that comes next."""
    kind = state.next_kind()
    if kind is None:
        return _redirect(ACCOUNT)
    return _redirect(f"/register/{kind}/code" if kind in state.addresses else f"/register/{kind}")


def _redirect(path: str, **query: str) -> Response:
    """Redirect to a page, with the pending request."""
    handle = request.args.get(language.HANDLE)
    if handle:
        query[language.HANDLE] = handle
    return redirect(f"{path}?{urlencode(query)}" if query else path, 303)


def _code_page(
    form: AddressCodeForm,
    state: Progress,
    kind: str,
    status: int = 200,
    retry_after: int | None = None,
) -> Response:
    return _page(
        "code",
        form,
        status,
        retry_after,
        kind=kind,
        address=state.addresses[kind],
        minutes=CHANNELS[kind].minutes,
        notice=request.args.get("notice"),
    )


def _account_page(
    form: AccountForm, email: str, status: int = 200, retry_after: int | None = None
) -> Response:
    required = policies.of_tenant(database(), current_issuer().tenant_id)
    return _page("account", form, status, retry_after, email=email, password_hint=hint(required))


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
