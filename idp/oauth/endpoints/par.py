"""The endpoint for pushed authorization requests (RFC 9126)."""

from __future__ import annotations

from idp.directory.clients.snapshot import ClientView
from idp.oauth import callers, client_auth
from idp.oauth.authorization import checks, parameters, pushed
from idp.oauth.authorization.parameters import AskedParameters
from idp.oauth.authorization.request_object import PARAMETERS
from idp.oauth.dpop import proofs
from idp.oauth.dpop.proofs import Proof
from idp.oauth.pending import LARGEST
from idp.oauth.request import Pairs, ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse, json_response
from idp.platform.errors import InvalidDpopProof, OAuthError, TooLarge, TooManyRequests
from idp.platform.storage import Storage
from idp.platform.throttle import Address

PER_MINUTE = 600
"""Requests that a worker keeps for a client in a minute; as many for a public client's address."""
PUBLIC_PER_MINUTE = 6000
"""Those of all public clients: anyone may send them."""
LIFETIME_SECONDS = int(pushed.LIFETIME.total_seconds())


async def par(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Check an authorization request and keep it for a minute; answer the name that it has now."""
    client = await client_auth.authenticate(storage, request, find=callers.find_pushing)
    if request.body.get("request_uri") is not None:
        message = "request_uri cannot be pushed"
        raise OAuthError(message)  # RFC 9126 2.1
    asked = await parameters.unwrap(storage, request.issuer, client, request.body)
    proof = proofs.of_request(storage, request)
    pairs = _bound(_own(asked), proof)
    checks.check_source(client, is_pushed=True, is_signed=asked.is_signed)
    uri = _redirect_uri(asked)
    await checks.validate(storage, request.issuer, client, uri, asked.parameters)
    _count(storage, request, client)
    name = await pushed.store(
        storage, request.issuer, client, pairs, is_signed=asked.is_signed, proof=proof
    )
    answer = {"request_uri": name, "expires_in": LIFETIME_SECONDS}
    headers = {**NO_STORE, **proof.headers} if proof is not None else NO_STORE
    return json_response(answer, status=201, headers=headers)


def _own(asked: AskedParameters) -> Pairs:
    """Return what is kept: nothing of how the client authenticated."""
    own = asked.parameters.only(PARAMETERS - {"client_id"}).pairs
    if sum(len(name) + len(value) for name, value in own) > LARGEST:
        message = f"The request has more than {LARGEST} characters"
        raise TooLarge(message)  # RFC 9126 2.3
    return (("client_id", asked.client.client_id), *own)


def _bound(pairs: Pairs, proof: Proof | None) -> Pairs:
    """Bind the code to the key of the proof, as `dpop_jkt` does (RFC 9449 10.1)."""
    if proof is None:
        return pairs
    named = dict(pairs).get("dpop_jkt")
    if named is None:
        return (*pairs, ("dpop_jkt", proof.jkt))
    if named != proof.jkt:
        message = "dpop_jkt names another key than the DPoP proof"
        raise InvalidDpopProof(message)
    return pairs


def _redirect_uri(asked: AskedParameters) -> str:
    """Prove the return address; it must be registered by confidential clients too."""
    try:
        return checks.prove_redirect_uri(asked.client, asked.parameters)
    except OAuthError as error:
        error.code = OAuthError.code  # RFC 9126 2.3 has no code of its own for it
        raise


def _count(storage: Storage, request: ProtocolRequest, client: ClientView) -> None:
    """Limit what is kept: a client fills no place of others, and unproven ones none of proven ones.

    Counted by each worker for itself, since nothing may be waited for here.
    """
    throttle, key = storage.runtime.throttle, client.client_id
    if client.is_public:
        address = Address.of(request.remote_addr).networks[-1]
        key = f"{key} {address}"
        if not throttle.allows_here("pushed by anyone", "", PUBLIC_PER_MINUTE, 60):
            raise TooManyRequests(60)
    if not throttle.allows_here("pushed", key, PER_MINUTE, 60):
        raise TooManyRequests(60)
