"""What a client would be issued now: the functions of the protocol run on a recorder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy.orm import Session

from idp.claims.subject import Person
from idp.directory import levels
from idp.directory.clients.snapshot import ClientView
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User
from idp.explain.recording import Recorded, Recorder
from idp.oauth import server
from idp.oauth.access_tokens import ACCESS_TOKEN_TYPE
from idp.oauth.authorization import checks, code_grants
from idp.oauth.authorization.decide import ToPage, decide
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks import resource
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.endpoints.token import find_grant
from idp.oauth.grant_state import HeldGrant, StandingGrant
from idp.oauth.grants import GrantRequest, issuing
from idp.oauth.holder import NO_HOLDER, Holder
from idp.oauth.pending import Answers
from idp.oauth.request import Parameters, ProtocolRequest
from idp.oauth.visitor import SignedIn
from idp.platform import clock
from idp.platform.errors import InvalidClient, OAuthError
from idp.platform.issuer import Issuer
from idp.platform.secrets import random_token
from idp.platform.storage import complete

CLIENT_CREDENTIALS = "client_credentials"
AUTHORIZATION_CODE = "authorization_code"
_CHALLENGE = "A" * 43
"""Of the right form: which one it is does not matter here."""
_THUMBPRINT = "thumbprint of the key of the client"
_RETURN = "https://return.invalid/"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, with everything found that it names."""

    issuer: Issuer
    tenant: Tenant
    client: ClientView
    user: User | None
    """None: the client asks for itself."""
    scopes: tuple[str, ...]
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be issued."""

    granted: ValidatedScopes
    narrowed: ValidatedScopes
    """What of the granted scopes the access token is for."""
    access_token: Recorded
    id_token: Recorded | None = None
    consent: str = "not_needed"


def run(session: Session, wish: Wish) -> Preview:
    """Return what would be issued; an OAuthError is the refusal that the client would get."""
    if not wish.client.is_served_by(wish.issuer):
        raise InvalidClient("The client is not served at the issuer of the tenant")
    recorder = Recorder(session)
    if wish.user is None:
        return complete(_for_itself(recorder, wish))
    return complete(_for_person(recorder, wish, wish.user))


async def _for_itself(recorder: Recorder, wish: Wish) -> Preview:
    """Ask as the client would at the token endpoint, once it is authenticated."""
    request = _token_request(wish, CLIENT_CREDENTIALS)
    grant = find_grant(request, wish.client)
    own = request.body.only(grant.parameters)
    await grant.answer(GrantRequest(request, recorder, wish.client, own, _holder(wish.client)))
    token = recorder.recorded[ACCESS_TOKEN_TYPE]
    granted = scopes.retain(wish.client, str(token.claims["scope"]).split())
    return Preview(granted, granted, token)


async def _for_person(recorder: Recorder, wish: Wish, user: User) -> Preview:
    """Ask as the client would at the authorization endpoint, and redeem the code."""
    validated = await _validated(recorder, wish)
    if not user.may_sign_in:
        message = "The person is disabled or locked out"
        raise OAuthError(message, code="access_denied")
    approved, consent = await _approved(recorder, validated, _visitor(recorder, wish, user))
    values = code_grants.values(recorder, validated, approved, random_token())
    grant = HeldGrant(id=0, **{name: values[name] for name in _OF_GRANT})
    person = Person(*(getattr(user, field.name) for field in fields(Person)))
    standing = StandingGrant(grant, person, wish.tenant.name)
    granted = scopes.retain(wish.client, grant.scopes)
    narrowed = resource.narrow(granted, (), wish.issuer.url, within=grant.resources)
    request = _token_request(wish, AUTHORIZATION_CODE)
    own = GrantRequest(request, recorder, wish.client, Parameters(()), _holder(wish.client))
    await issuing.issue(own, standing, granted, narrowed, nonce=None)
    access_token = recorder.recorded[ACCESS_TOKEN_TYPE]
    return Preview(granted, narrowed, access_token, recorder.recorded.get("JWT"), consent)


def _holder(client: ClientView) -> Holder:
    """Return whom tokens are for, where the client has to prove that it holds a key."""
    is_bound = client.dpop_bound_access_tokens or client.may_need_proof
    return Holder(jkt=_THUMBPRINT) if is_bound else NO_HOLDER


_OF_GRANT = tuple(field.name for field in fields(HeldGrant) if field.name != "id")


async def _validated(recorder: Recorder, wish: Wish) -> ValidatedRequest:
    pairs = [
        ("client_id", wish.client.client_id),
        ("response_type", "code"),
        ("code_challenge", _CHALLENGE),
        ("code_challenge_method", "S256"),
        ("tenant", str(wish.tenant.id)),
        *_wished(wish),
    ]
    return await checks.validate(recorder, wish.issuer, wish.client, _RETURN, Parameters(pairs))


async def _approved(
    recorder: Recorder, validated: ValidatedRequest, visitor: SignedIn
) -> tuple[Approved, str]:
    """Return what is approved, and whether the person has to consent first."""
    answers = Answers(since=visitor.auth_time, handle="", account_chosen=True)
    try:
        approved = await decide(recorder, validated, visitor, answers)
    except ToPage:  # consent: all else is settled
        tenant_id = visitor.tenant_ids[0]
        return Approved(visitor, tenant_id, validated.scopes, None), "needed"
    return approved, "given" if validated.client.require_consent else "not_needed"


def _visitor(recorder: Recorder, wish: Wish, user: User) -> SignedIn:
    """Return the person as if they had signed in just now."""
    member = tenants.find_member(recorder.session, wish.tenant.id, user.id)
    belongs = member is not None and wish.tenant.is_enabled
    return SignedIn(
        user_id=user.id,
        security_stamp=user.security_stamp,
        session_id=0,
        sid=random_token(16),
        auth_time=clock.now(),
        acr=levels.HIGHEST,  # whatever the client asks for is met
        amr=["pwd"],
        mfa_at=clock.now(),
        phr_at=clock.now(),
        trusted_until=None,
        asked_at=None,
        tenant_id=None,
        tenant_ids=(wish.tenant.id,) if belongs else (),
    )


def _token_request(wish: Wish, grant_type: str) -> ProtocolRequest:
    return ProtocolRequest(
        method="POST",
        path="/connect/token",
        issuer=wish.issuer,
        server=server.offer(),
        form=(("grant_type", grant_type), *_wished(wish)),
    )


def _wished(wish: Wish) -> list[tuple[str, Any]]:
    resources = [("resource", resource) for resource in wish.resources]
    return [("scope", " ".join(wish.scopes)), *resources]
