"""The endpoint where devices without a browser begin (RFC 8628 3.1)."""

from __future__ import annotations

from idp.directory.clients.snapshot import ClientView
from idp.oauth import client_auth
from idp.oauth.authorization import checks, device
from idp.oauth.authorization.device_answer import HOME
from idp.oauth.dpop import proofs
from idp.oauth.dpop.proofs import Proof
from idp.oauth.pending import LARGEST
from idp.oauth.request import Parameters, ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse, json_response
from idp.platform.errors import InvalidDpopProof, OAuthError, TooLarge, TooManyRequests
from idp.platform.storage import Storage
from idp.platform.throttle import Address

PER_MINUTE = 60
"""Requests that a worker keeps for a public client from an address in a minute."""
PROVEN_PER_MINUTE = 600
"""Those of a client that proves who it is."""
PUBLIC_PER_MINUTE = 3000
"""Those of all public clients: anyone may send them."""
PARAMETERS = frozenset({"scope", "resource", "acr_values", "dpop_jkt"})
UNSUPPORTED = frozenset(checks.UNSUPPORTED) | {"request"}


async def device_authorization(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Keep the request of a device; answer the code that it polls with, and that of its person."""
    client = await client_auth.authenticate(storage, request)
    checks.check_source(client, is_pushed=True, is_signed=False)
    proof = proofs.of_request(storage, request)
    own = _bound(_own(request.body), proof)
    await checks.validate_of_device(storage, request.issuer, client, own)
    _count(storage, request, client)
    kept = own.only(PARAMETERS).pairs
    codes = await device.store(storage, request.issuer, client, kept, proof)
    page = request.endpoint_url(HOME)
    shown = device.shown(codes.user_code)
    answer = {
        "device_code": codes.device_code,
        "user_code": shown,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={shown}",
        "expires_in": int(device.LIFETIME.total_seconds()),
        "interval": device.INTERVAL,
    }
    headers = {**NO_STORE, **proof.headers} if proof is not None else NO_STORE
    return json_response(answer, headers=headers)


def _own(sent: Parameters) -> Parameters:
    """Return what is checked; others are ignored (RFC 6749 3.1)."""
    own = sent.only(PARAMETERS | UNSUPPORTED)
    if own.get("request") is not None:
        message = "request is not supported here"
        raise OAuthError(message, code="request_not_supported")
    if sum(len(name) + len(value) for name, value in own.pairs) > LARGEST:
        message = f"The request has more than {LARGEST} characters"
        raise TooLarge(message)
    return own


def _bound(own: Parameters, proof: Proof | None) -> Parameters:
    """Bind the tokens to the key of the proof, as `dpop_jkt` does for codes (RFC 9449 10.1)."""
    if proof is None:
        return own
    named = own.get("dpop_jkt")
    if named is None:
        return Parameters((*own.pairs, ("dpop_jkt", proof.jkt)))
    if named != proof.jkt:
        message = "dpop_jkt names another key than the DPoP proof"
        raise InvalidDpopProof(message)
    return own


def _count(storage: Storage, request: ProtocolRequest, client: ClientView) -> None:
    """Limit what is kept: it shortens the search for a code that somebody guesses.

    Counted by each worker for itself, since nothing may be waited for here.
    """
    throttle, key, most = storage.runtime.throttle, client.client_id, PROVEN_PER_MINUTE
    if client.is_public:
        key, most = f"{key} {Address.of(request.remote_addr).networks[-1]}", PER_MINUTE
        if not throttle.allows_here("devices of anyone", "", PUBLIC_PER_MINUTE, 60):
            raise TooManyRequests(60)
    if not throttle.allows_here("devices", key, most, 60):
        raise TooManyRequests(60)
