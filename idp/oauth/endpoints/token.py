"""The token endpoint (RFC 6749 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.directory.clients.snapshot import ClientView
from idp.oauth import client_auth
from idp.oauth.client_auth import mtls
from idp.oauth.dpop import once, proofs
from idp.oauth.dpop.proofs import Proof
from idp.oauth.grants import GrantRequest, GrantType
from idp.oauth.holder import NO_HOLDER, Holder
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse, json_response
from idp.oauth.sign_out import revoke_client_grants
from idp.platform.errors import InvalidDpopProof, OAuthError, Problem
from idp.platform.metrics.declarations import TOKENS
from idp.platform.storage import Storage
from idp.platform.web.certificates import thumbprint


async def token(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Authenticate the client, then let the grant answer; it sees its own parameters only."""
    client = await client_auth.authenticate(storage, request)
    if client.has_new_keys:
        # Whatever a person allowed was for who had the former keys; they are asked anew.
        await storage.in_session(revoke_client_grants, client.kept_id, "other keys")
    grant = find_grant(request, client)
    own = request.body.only(grant.parameters)
    proof = _proof(request, storage, client)
    holder = _holder(request, client, proof)
    token_request = GrantRequest(request, storage, client, own, holder, proof)
    if proof is None:
        answer = await grant.answer(token_request)
    else:
        answer = await _answer_once(grant, token_request, proof)
    counts = storage.runtime.counts
    counts.add(TOKENS, grant.name, "reference" if client.access_token_is_reference else "jwt")
    if "refresh_token" in answer:
        counts.add(TOKENS, grant.name, "refresh")
    if proof is not None and proof.headers:
        return json_response(answer, headers={**NO_STORE, **proof.headers})
    return json_response(answer)


def _holder(request: ProtocolRequest, client: ClientView, proof: Proof | None) -> Holder:
    """Return whom tokens are for: the holder of a key, of a certificate, or anybody."""
    jkt = None if proof is None else proof.jkt
    if not client.tls_client_certificate_bound_access_tokens:
        return NO_HOLDER if jkt is None else Holder(jkt)
    certificate = request.certificate
    if certificate is None or not mtls.is_in_force(certificate):
        # RFC 8705 3: tokens of this client are of no use without one.
        raise OAuthError("The client must present a certificate that is in force")
    return Holder(jkt, thumbprint(certificate))


async def _answer_once(
    grant: GrantType, token_request: GrantRequest, proof: Proof
) -> Mapping[str, Any]:
    """Answer a request with a proof by the grant; its use is recorded where that did not do so."""
    try:
        answer = await grant.answer(token_request)
        await once.spend(token_request.storage, proof)
    except Problem as problem:
        problem.headers.update(proof.headers)  # RFC 9449 8.2
        raise
    return answer


def _proof(request: ProtocolRequest, storage: Storage, client: ClientView) -> Proof | None:
    """Check the proof of a request; without one, tokens are for whoever has them (RFC 9449 5)."""
    proof = proofs.of_request(storage, request)
    if proof is None and client.dpop_bound_access_tokens:
        raise InvalidDpopProof("The client must send a DPoP proof")
    return proof


def find_grant(request: ProtocolRequest, client: ClientView) -> GrantType:
    """Return the grant type that a request names, if the client may use it."""
    name = request.body.require("grant_type")
    grant = request.server.grants.get(name)
    if grant is None:
        message = "This grant type is not supported"
        raise OAuthError(message, code="unsupported_grant_type")
    if name not in client.grant_types:
        message = f"The client may not use {name}"
        raise OAuthError(message, code="unauthorized_client")
    return grant
