"""The authorization endpoint (RFC 6749 3.1, OpenID Connect Core 3.1.2).

Read from top to bottom: `validate` turns parameters into a `ValidatedRequest`, `decide` finds out
whether a page must be shown, `_grant` makes the code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, cast
from urllib.parse import urlencode

from sqlalchemy import (
    bindparam,
    delete,
    or_,
    select,
)
from sqlalchemy.orm import Session

from idp.directory import levels as levels_of
from idp.directory.clients import snapshot as clients
from idp.directory.clients.snapshot import ClientView
from idp.directory.factors import service as factors
from idp.directory.levels import HIGHEST, PWD, satisfies
from idp.directory.policies import exemptions
from idp.directory.policies import snapshot as policies
from idp.directory.policies.rules import NOTHING, Required
from idp.directory.policies.sign_in import put_off_until
from idp.oauth import code_grants, consents, pending, refused_requests
from idp.oauth import visitor as visitors
from idp.oauth.authorization_request import (
    Approved,
    ResponseMode,
    ReturnAddress,
    ValidatedRequest,
)
from idp.oauth.checks import levels, pkce, prompt, redirect_uri, request_object, tenant
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.response import RESPONSE_MODES, RESPONSE_TYPES
from idp.oauth.id_tokens import read_id_token
from idp.oauth.models import AuthorizationRequest, Consent
from idp.oauth.pending import Answers
from idp.oauth.request import Pairs, Parameters, ProtocolRequest
from idp.oauth.response import FormPost, Interaction, ProtocolResponse, redirect
from idp.oauth.visitor import SignedIn
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import OAuthError, Problem, Unavailable
from idp.platform.issuer import Issuer
from idp.platform.secrets import random_token
from idp.platform.signing import signer
from idp.platform.storage import Storage
from idp.platform.translation import N_

Answer = ProtocolResponse | Interaction | FormPost

UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


Page = Literal[
    "login",
    "login/factor",
    "login/enrol",
    "login/passkey",
    "choose",
    "choose-tenant",
    "consent",
]


class ToPage(Exception):  # noqa: N818 - not an error: the person is asked first
    """A page must be shown before the request can go on."""

    def __init__(self, kind: Page) -> None:
        super().__init__(kind)
        self.kind = kind


async def authorize_without_page(
    request: ProtocolRequest, storage: Storage
) -> ProtocolResponse | None:
    """Answer a request for which nothing must be rendered; None: `authorize` behind a page does.

    Nothing was written when it returns None.
    """
    pairs = dict(request.query)
    if request.method != "GET" or pairs.get("response_mode") == "form_post" or "request" in pairs:
        return None
    if pending.CONTINUE in pairs:
        return None
    try:
        answer = await authorize(request, storage)
    except Unavailable:
        raise
    except Problem:
        return None
    if isinstance(answer, Interaction):
        return redirect(answer.location)
    return None if isinstance(answer, FormPost) else answer


async def authorize(request: ProtocolRequest, storage: Storage) -> Answer:
    """Answer an authorization request with a code, a refusal, or a page to show first.

    A Problem that leaves here is shown to the person: the client is not proven.
    """
    if request.method == "POST":
        return await _keep_posted(request, storage)
    visitor: SignedIn | None = None
    answers: Answers | None = None
    row: AuthorizationRequest | None = None
    parameters = request.either
    handle = parameters.get(pending.CONTINUE)
    if handle is not None:
        visitor = await visitors.find_signed_in(storage, request.issuer, request.session_cookie)
        kept, pairs = await storage.in_session(_resume, request.issuer, handle)
        answers = pending.answers_of(kept, handle, visitor.session_id if visitor else None)
        row, parameters = kept, Parameters(pairs)
    client, back = await find_return_address(storage, request.issuer, parameters)
    try:
        validated = await validate(storage, client, back, parameters)
        if handle is None:
            code = await code_grants.grant_at_once(storage, validated, request.session_cookie)
            if code is not None:
                return back.send({"code": code})
            visitor = await visitors.find_signed_in(storage, request.issuer, request.session_cookie)
        approved = await decide(storage, validated, visitor, answers)
    except ToPage as page:
        if "none" in prompt.read_prompt(parameters):
            error = _unanswerable(page)
            await refused_requests.keep(storage, request, error, client)
            return back.refuse(error)
        if answers is None:
            handle = await _keep(request, storage, parameters)
        return Interaction(page.kind, cast("str", handle))
    except OAuthError as error:
        if row is not None or isinstance(error, _NotAMemberError):
            await storage.in_session(_refuse, row, error)
        await refused_requests.keep(storage, request, error, client)
        return back.refuse(error)
    return await _grant(storage, validated, approved, row)


async def _keep_posted(request: ProtocolRequest, storage: Storage) -> Answer:
    """Turn a POST into a GET, so that the cookie of a cross-site form counts (SameSite=Lax)."""
    parameters = request.body
    await find_return_address(storage, request.issuer, parameters)
    handle = await _keep(request, storage, parameters)
    return redirect(f"{request.path}?{urlencode({pending.CONTINUE: handle})}")


async def _keep(request: ProtocolRequest, storage: Storage, parameters: Parameters) -> str:
    return await storage.in_session(
        pending.store, request.issuer, "authorize", parameters.pairs, request.remote_addr
    )


def _resume(session: Session, issuer: Issuer, handle: str) -> tuple[AuthorizationRequest, Pairs]:
    """Return a kept request and its parameters."""
    row = pending.get(session, issuer, "authorize", handle)
    return row, pending.parameters_of(session, row)


def _forget(session: Session, row: AuthorizationRequest) -> bool:
    """Delete a kept request; False when another answer was faster."""
    statement = delete(AuthorizationRequest).where(AuthorizationRequest.id == row.id)
    return count_hits(session, statement) > 0


def _refuse(session: Session, row: AuthorizationRequest | None, error: OAuthError) -> None:
    """Record a refusal, and that its request is answered."""
    if row is not None:
        _forget(session, row)
    if isinstance(error, _NotAMemberError):
        audit.record(
            session,
            Tag.SIGN_IN_REFUSED,
            user_id=error.user_id,
            client_id=error.validated.client.client_id,
            tenant_id=error.validated.back.issuer.tenant_id,
            details={"reason": "not a member"},
        )


class _NotAMemberError(OAuthError):
    """The person belongs to no tenant that the application serves."""

    code = "access_denied"

    def __init__(self, validated: ValidatedRequest, user_id: int) -> None:
        super().__init__("The person does not belong to a tenant that this application serves")
        self.validated = validated
        self.user_id = user_id


def _unanswerable(page: ToPage) -> OAuthError:
    """Return the error for a prompt=none that cannot be answered (OpenID Connect Core 3.1.2.6)."""
    code = {
        "login": "login_required",
        "choose": "account_selection_required",
        "choose-tenant": "interaction_required",
        "login/factor": "interaction_required",
        "login/enrol": "interaction_required",
        "login/passkey": "interaction_required",
        "consent": "consent_required",
    }[page.kind]
    return OAuthError("The person would have to be asked", code=code)


# --- Client and return address: until they are proven nothing is redirected ----------------------


async def find_return_address(
    storage: Storage, issuer: Issuer, parameters: Parameters
) -> tuple[ClientView, ReturnAddress]:
    """Prove client and redirect address; a Problem for the person to see otherwise."""
    client = await storage.look_up(clients.find, parameters.require("client_id"))
    if client is None or not client.is_served_by(issuer):
        message = N_("The application is not known here. Tell the people who run it.")
        raise OAuthError(message, code="invalid_client")
    uri = parameters.require("redirect_uri")
    native = client.application_type == "native"
    if not redirect_uri.is_registered(uri, client.redirect_uris, native=native):
        message = N_(
            "The application's return address isn't registered. Tell the people who run it."
        )
        raise OAuthError(message, code="invalid_redirect_uri")
    # A request object is refused, and the refusal goes back as the object asks.
    unverified = request_object.read_unverified_return(parameters)
    requested = unverified.get("response_mode") or parameters.get("response_mode")
    mode = requested if requested in RESPONSE_MODES else "query"
    state = unverified.get("state") or parameters.get("state")
    return client, ReturnAddress(uri, cast("ResponseMode", mode), state, issuer)


# --- Checks, in this order ------------------------------------------------------------------------


async def validate(
    storage: Storage, client: ClientView, back: ReturnAddress, parameters: Parameters
) -> ValidatedRequest:
    """Check every parameter of a request whose return address is proven."""
    for name, code in UNSUPPORTED.items():
        if parameters.get(name) is not None:
            message = f"{name} is not supported"
            raise OAuthError(message, code=code)
    _check_response(client, parameters)
    names = scopes.split(parameters.get("scope") or "")
    requested = scopes.validate(client, await scopes.recognize(storage, client, names))
    resources = parameters.all("resource")
    scopes.narrow(requested, resources, back.issuer.url)
    claims = prompt.read_claims(parameters)
    return ValidatedRequest(
        client=client,
        back=back,
        scopes=requested,
        code_challenge=pkce.read_challenge(parameters, required=client.require_pkce),
        nonce=parameters.get("nonce"),
        prompt=prompt.read_prompt(parameters),
        max_age=_max_age(client, parameters),
        login_hint=parameters.get("login_hint"),
        hinted_subject=await _hinted_subject(storage, back.issuer, client, parameters),
        claims=claims,
        tenant_id=prompt.read_id(parameters, "tenant"),
        resources=resources,
        levels=levels.read(back.issuer, client, parameters, claims),
    )


def _check_response(client: ClientView, parameters: Parameters) -> None:
    if parameters.require("response_type") not in RESPONSE_TYPES:
        message = "response_type must be code"
        raise OAuthError(message, code="unsupported_response_type")
    if "authorization_code" not in client.grant_types:
        message = "The client may not use authorization_code"
        raise OAuthError(message, code="unauthorized_client")
    mode = parameters.get("response_mode")
    if mode is not None and mode not in RESPONSE_MODES:
        message = "response_mode must be query, fragment or form_post"
        raise OAuthError(message)


def _max_age(client: ClientView, parameters: Parameters) -> int | None:
    requested = prompt.read_seconds(parameters, "max_age")
    return client.default_max_age if requested is None else requested


async def _hinted_subject(
    storage: Storage, issuer: Issuer, client: ClientView, parameters: Parameters
) -> str | None:
    """Read whom `id_token_hint` names; an expired ID token is a good hint."""
    hint = parameters.get("id_token_hint")
    if hint is None:
        return None
    claims = read_id_token(await storage.look_up(signer.keys), issuer, hint)
    if claims is None or claims["aud"] != client.client_id:
        message = "id_token_hint is not an ID token of this issuer for this client"
        raise OAuthError(message)
    return str(claims["sub"])


# --- Must the person be asked? --------------------------------------------------------------------


async def decide(
    storage: Storage, validated: ValidatedRequest, visitor: SignedIn | None, answers: Answers | None
) -> Approved:
    """Find out whether everything is settled; ToPage names the page to show otherwise."""
    if answers is not None and answers.consented_scopes == ():
        raise _refused_by_person()
    visitor = _settle_sign_in(validated, visitor, answers)
    tenant_id = _settle_tenant(validated, visitor, answers)
    visitor = await _settle_level(storage, validated, visitor, tenant_id, answers)
    remembered: set[str] = set()
    if _depends_on_consent(validated, answers):
        remembered = await _read_consent(storage, validated, visitor, tenant_id)
    consented = _settle_consent(validated, answers, remembered)
    if consented is None:
        return Approved(visitor, tenant_id, validated.scopes, None)
    allowed = [name for name in validated.scopes.names if name in consented]
    if not allowed:
        raise _refused_by_person()
    is_remembered = (
        answers is not None and answers.remember_consent and validated.client.allow_remember_consent
    )
    return Approved(
        visitor, tenant_id, scopes.validate(validated.client, allowed), consented, is_remembered
    )


def _settle_sign_in(
    validated: ValidatedRequest, visitor: SignedIn | None, answers: Answers | None
) -> SignedIn:
    if visitor is None:
        raise ToPage("login")
    is_fresh = answers is not None and visitor.auth_time >= answers.since
    if "login" in validated.prompt and not is_fresh:
        raise ToPage("login")
    if validated.max_age is not None and not is_fresh:
        age = clock.now() - visitor.auth_time
        if age > timedelta(seconds=validated.max_age):
            raise ToPage("login")
    if not _is_requested_subject(validated, str(visitor.user_id)):
        if is_fresh:
            message = "Someone else signed in"
            raise OAuthError(message, code="login_required")
        raise ToPage("login")
    has_chosen = is_fresh or (answers is not None and answers.account_chosen)
    if "select_account" in validated.prompt and not has_chosen:
        raise ToPage("choose")
    return visitor


def _is_requested_subject(validated: ValidatedRequest, subject: str) -> bool:
    """Compare with `id_token_hint` and a `sub` asked for by value (OpenID Connect Core 3.1.2.2)."""
    if validated.hinted_subject not in {None, subject}:
        return False
    requested = validated.claims.values("id_token", "sub")
    return not requested or subject in requested


def _settle_tenant(validated: ValidatedRequest, visitor: SignedIn, answers: Answers | None) -> int:
    """Find the tenant that the sign-in is for: one of the person's memberships at this issuer."""
    ids = tenant.fitting(visitor.tenant_ids, validated.client.tenant_id, validated.tenant_id)
    if not ids:
        raise _NotAMemberError(validated, visitor.user_id)
    settled = tenant.settle(ids, answers.tenant_id if answers else None, visitor.tenant_id)
    if settled is None:
        raise ToPage("choose-tenant")
    return settled


async def _settle_level(
    storage: Storage,
    validated: ValidatedRequest,
    visitor: SignedIn,
    tenant_id: int,
    answers: Answers | None,
) -> SignedIn:
    """Return the visitor with the level that their session has now, if that is enough.

    Otherwise ask for a second factor or a passkey. A person without one sets it up where the level
    is demanded, by the request or by a policy; a mere wish goes on without, and may be declined.
    """
    issuer, asked = validated.back.issuer, validated.levels
    required, waived = NOTHING, PWD
    if await storage.look_up(policies.any_level):
        found = await storage.in_session(
            policies.of_person, tenant_id, issuer.tenant_id, visitor.user_id
        )
        required, waived = found.required, found.waived
    held = levels_of.held(visitor.mfa_at, visitor.phr_at, required.level_minutes)
    visitor = replace(visitor, acr=held, is_exempt=not satisfies(held, waived))
    is_policy_met = satisfies(held, required.wanted)
    if asked.is_met(held) and is_policy_met:
        return visitor
    reach = await storage.in_session(factors.highest_level, issuer, visitor.user_id)
    if not is_policy_met and not _is_spared(visitor, required, reach):
        if required.wanted not in levels_of.reachable(issuer):
            raise levels.unmet()
        asked = asked.demanding(required.wanted)
    if asked.is_demand_met(held) and (asked.is_met(held) or not asked.is_met(reach)):
        return visitor
    if asked.is_demand_met(held) and answers is not None and answers.level_declined:
        return visitor
    if satisfies(held, HIGHEST):
        return visitor
    if asked.needs_passkey(held):
        raise ToPage("login/passkey")
    raise ToPage("login/enrol" if reach == PWD else "login/factor")


def _is_spared(visitor: SignedIn, required: Required, reach: str) -> bool:
    """Return whether a policy asks for nothing more now: of a remembered device, or not yet.

    Who has what a policy requires is never spared by the time for setting it up, and who lacks it
    never by a device.
    """
    if not satisfies(reach, required.wanted):
        asked_at = visitor.asked_at
        return asked_at is not None and put_off_until(required, asked_at) > clock.now()
    until = visitor.trusted_until
    oldest = clock.now() - timedelta(days=required.device_days)
    return until is not None and until > clock.now() and visitor.auth_time > oldest


def _depends_on_consent(validated: ValidatedRequest, answers: Answers | None) -> bool:
    """Return whether it matters what the person allowed before."""
    is_answered = answers is not None and answers.consented_scopes is not None
    return (
        not is_answered and "consent" not in validated.prompt and validated.client.require_consent
    )


def _settle_consent(
    validated: ValidatedRequest, answers: Answers | None, remembered: Collection[str]
) -> frozenset[str] | None:
    """Find the scopes that the person ticked just now; None: all are allowed, or need no asking."""
    given = answers.consented_scopes if answers is not None else None
    if given is not None:
        return frozenset(given)
    if "consent" in validated.prompt:
        raise ToPage("consent")
    if validated.client.require_consent and not set(validated.consent_scopes) <= set(remembered):
        raise ToPage("consent")
    return None


def _refused_by_person() -> OAuthError:
    return OAuthError("The person refused", code="access_denied")


async def _read_consent(
    storage: Storage, validated: ValidatedRequest, visitor: SignedIn, tenant_id: int
) -> set[str]:
    row = await storage.one(
        _CONSENT,
        {
            "user_id": visitor.user_id,
            "client_id": validated.client.row_id,
            "tenant_id": tenant_id,
            "now": clock.now(),
        },
    )
    return set() if row is None else set(row[0])


_CONSENT = select(Consent.scopes).where(
    Consent.user_id == bindparam("user_id"),
    Consent.client_id == bindparam("client_id"),
    Consent.tenant_id == bindparam("tenant_id"),
    or_(Consent.expires_at.is_(None), Consent.expires_at > bindparam("now")),
)


# --- The code -------------------------------------------------------------------------------------


async def _grant(
    storage: Storage,
    validated: ValidatedRequest,
    approved: Approved,
    row: AuthorizationRequest | None,
) -> ProtocolResponse | FormPost:
    """Make grant and code in one transaction, and send the code to the client."""
    visitor, issuer = approved.visitor, validated.back.issuer
    if visitor.is_exempt:
        await storage.in_session(
            exemptions.note_once, issuer, visitor.user_id, approved.tenant_id, visitor.session_id
        )
    code = random_token()
    values = code_grants.values(storage, validated, approved, code)
    if row is None:
        await storage.write(code_grants.GRANT, values)
    elif not await storage.in_session(_grant_kept, validated, approved, row, values):
        raise pending.no_longer_kept()
    return validated.back.send({"code": code})


def _grant_kept(
    session: Session,
    validated: ValidatedRequest,
    approved: Approved,
    row: AuthorizationRequest,
    values: Mapping[str, Any],
) -> bool:
    """Answer a kept request and remember what the person allowed; False: it is answered already."""
    if not _forget(session, row):
        return False
    if approved.is_remembered and approved.consented is not None:
        consents.remember_consent(
            session,
            validated.client,
            approved.visitor.user_id,
            approved.tenant_id,
            sorted(approved.consented),
            set(validated.consent_scopes) - approved.consented,
        )
    code_grants.GRANT.run(session, values)
    return True
