"""Token introspection (RFC 7662), also as a signed answer (RFC 9701)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.claims import access
from idp.claims.subject import subject_id
from idp.directory.clients import snapshot as clients
from idp.directory.clients.snapshot import ClientView
from idp.directory.resources import snapshot as resources
from idp.directory.resources.snapshot import ApiView
from idp.oauth import access_tokens, client_auth, holder, refresh_rules, refresh_tokens
from idp.oauth.access_tokens import AccessToken
from idp.oauth.checks import scope as scopes
from idp.oauth.client_auth import secret, uses
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse, json_response
from idp.platform import clock
from idp.platform.errors import InvalidToken
from idp.platform.issuer import Issuer
from idp.platform.signing import signer
from idp.platform.storage import Storage
from idp.platform.web import accept

SIGNED_ANSWER = "application/token-introspection+jwt"
INACTIVE: Mapping[str, Any] = {"active": False}
_REFERENCES = ("permission_ref", "role_ref", "claims_ref")


@dataclass(frozen=True, slots=True)
class Requester:
    """An API resource or a client that proved who it is."""

    name: str
    api: ApiView | None = None
    client: ClientView | None = None


async def introspect(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Describe a token to an API or a client; `active: false` for anything not theirs."""
    requester = await _authenticate(storage, request)
    token = request.body.require("token")
    content = await _describe(storage, request, requester, token)
    if not accept.prefers(request.accept, SIGNED_ANSWER):
        return json_response(content)
    alg = requester.client.introspection_signed_response_alg if requester.client else None
    keys = await storage.look_up(signer.keys)
    signed = keys.sign(
        {
            "iss": request.issuer.url,
            "aud": requester.name,
            "iat": clock.timestamp(),
            "token_introspection": content,
        },
        alg=alg,
        typ="token-introspection+jwt",
    )
    return ProtocolResponse(200, {"Content-Type": SIGNED_ANSWER, **NO_STORE}, signed.encode())


async def _authenticate(storage: Storage, request: ProtocolRequest) -> Requester:
    """Return the API resource (by its name and secret) or the client that calls."""
    credentials = client_auth.read_credentials(request)
    if await storage.look_up(clients.find, credentials.client_id) is None:
        api = await storage.look_up(resources.find_api, credentials.client_id)
        proof, runtime = credentials.unverified_proof, storage.runtime
        if api is not None and secret.is_one_of(runtime, proof, api.secrets, uses.API):
            return Requester(api.name, api=api)
        raise await client_auth.refuse(storage, request, credentials, "introspection")
    client = await client_auth.authenticate(storage, request, credentials)
    if client.is_public:
        # RFC 7662 2.1: the endpoint must not be open to token scanning.
        raise await client_auth.refuse(storage, request, credentials, "public client")
    return Requester(client.client_id, client=client)


async def _describe(
    storage: Storage, request: ProtocolRequest, requester: Requester, unverified_token: str
) -> Mapping[str, Any]:
    try:
        token = await access_tokens.recall_access_token(storage, request.issuer, unverified_token)
    except InvalidToken:
        return await _describe_refresh_token(storage, request, requester, unverified_token)
    if not _may_see(request.issuer, requester, token):
        return INACTIVE
    claims = await _complete(storage, token)
    # RFC 7662 2.2: `username` is a person's; a claim kept for a client must not look like one.
    claims.pop("username", None)
    if token.standing is not None:
        claims["username"] = token.standing.user.username
    claims |= {"active": True, "token_type": holder.token_type(token.cnf)}
    return claims


async def _complete(storage: Storage, token: AccessToken) -> dict[str, Any]:
    """Return the claims of a token with those that it had no room for."""
    claims = dict(token.claims)
    missing = {name for name in _REFERENCES if claims.pop(name, False)}
    if not missing:
        return claims
    granted = scopes.retain(token.client, token.scopes)
    subject = None
    if token.standing is not None:
        names = access_tokens.claim_names(granted)
        subject = await token.standing.subject(storage, names, needs_rights=True)
    if "claims_ref" in missing:
        claims = access_tokens.other_claims(token.client, granted, subject) | claims
    if subject is not None and "role_ref" in missing:
        claims["role"] = access.role(subject)
    if subject is not None and "permission_ref" in missing:
        claims |= access_tokens.permission_claims(subject, granted.apis, budget=None)
    return claims


def _may_see(issuer: Issuer, requester: Requester, token: AccessToken) -> bool:
    if requester.api is not None:
        # An audience may also be an issuer's address; the name alone is not proof enough.
        reach = {None, token.client.tenant_id}
        if token.client.is_stranger:
            reach.add(issuer.tenant_id)
        is_in_reach = requester.api.tenant_id in reach
        return is_in_reach and requester.api.name in token.audience
    return requester.client is not None and requester.client.row_id == token.client.row_id


async def _describe_refresh_token(
    storage: Storage, request: ProtocolRequest, requester: Requester, unverified_token: str
) -> Mapping[str, Any]:
    """Describe a refresh token to the client it was issued to, and to no other."""
    if requester.client is None:
        return INACTIVE
    found = await refresh_tokens.find(storage, unverified_token)
    if found is None:
        return INACTIVE
    refresh, grant, standing = found
    if (
        standing is None
        or refresh.decide(requester.client) not in refresh_rules.USABLE
        or grant.client_id != requester.client.row_id
        or grant.issuer_tenant_id != request.issuer.tenant_id
    ):
        return INACTIVE
    family = refresh.family
    return {
        "active": True,
        "iss": request.issuer.url,
        "sub": subject_id(requester.client, grant.user_id),
        "client_id": requester.client.client_id,
        "scope": " ".join(family.scopes),
        "iat": int((family.rotated_at or family.created_at).timestamp()),
        "exp": int(family.expires_at.timestamp()),
    }
