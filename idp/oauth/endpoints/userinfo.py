"""The userinfo endpoint (OpenID Connect Core 5.3)."""

from __future__ import annotations

from typing import Any

from idp.claims import registry
from idp.claims.subject import subject_id
from idp.oauth import access_tokens, id_tokens, possession
from idp.oauth.access_tokens import AccessToken
from idp.oauth.checks import scope as scopes
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse, json_response
from idp.platform.errors import InvalidToken, OAuthError
from idp.platform.signing import signer
from idp.platform.storage import Storage
from idp.platform.web.authorization import BEARER, DPOP, Credential


class InsufficientScopeError(OAuthError):
    """RFC 6750 3.1: the access token is good, but not for this."""

    code = "insufficient_scope"
    status = 403


async def userinfo(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Return the claims about the person that the token's scopes release, as JSON or signed."""
    credential = read_credential(request)
    token = await access_tokens.recall_access_token(storage, request.issuer, credential[1])
    about_proof = await possession.check(
        storage, request.issuer, token.cnf, credential, request.evidence
    )
    if token.standing is None or "openid" not in token.scopes:
        raise InsufficientScopeError(
            "The token was not issued with the scope openid",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="openid"'},
        )
    if request.issuer.url not in token.audience:
        # RFC 9068 4: its other audiences must not read the person's claims with it.
        raise InvalidToken(debug="token for another audience")
    claims = await storage.runtime.cache.recently(
        ("userinfo", request.issuer.tenant_id, token.token_hash), lambda: _claims(storage, token)
    )
    alg = token.client.userinfo_signed_response_alg
    if alg is None:
        return json_response(
            claims, headers={**NO_STORE, **about_proof} if about_proof else NO_STORE
        )
    claims = claims | {"iss": request.issuer.url, "aud": token.client.client_id}
    keys = await storage.look_up(signer.keys)
    signed = keys.sign(claims, alg=alg, typ="JWT")
    return ProtocolResponse(
        200,
        {"Content-Type": "application/jwt", **NO_STORE, **about_proof},
        signed.encode("ascii"),
    )


async def _claims(storage: Storage, token: AccessToken) -> dict[str, Any]:
    standing = token.standing
    if standing is None:  # pragma: no cover - refused above
        raise InvalidToken
    released = id_tokens.userinfo_names(scopes.retain(token.client, token.scopes))
    released |= id_tokens.requested_claims(token.client, standing.grant, "userinfo")
    claims = registry.collect(await standing.subject(storage, released), released)
    claims["sub"] = subject_id(token.client, standing.user.id)
    return claims


def read_credential(request: ProtocolRequest) -> Credential:
    """Read the access token from the header or a POSTed form, never from both (RFC 6750 2)."""
    if any(name == "access_token" for name, _ in request.query):
        message = "The access token must not be in the address"
        raise OAuthError(message)
    credential = request.authorization
    in_form = None
    if request.method == "POST" and request.form:
        in_form = request.body.get("access_token")
    if credential is not None and in_form is not None:
        message = "The access token was sent twice"
        raise OAuthError(message)
    if credential is not None and credential[0] in {BEARER, DPOP} and credential[1]:
        return credential
    if in_form is not None:
        return BEARER, in_form
    # RFC 6750 3.1: no error code when no authentication was tried.
    raise InvalidToken(headers={"WWW-Authenticate": "Bearer"})
