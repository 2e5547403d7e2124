"""A JWT signed by the client: private_key_jwt (RFC 7523 2.2, OpenID Connect Core 9)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from idp.directory.clients.snapshot import ClientView
from idp.oauth.client_auth import keys
from idp.oauth.client_auth.credentials import Credentials
from idp.oauth.client_auth.keys import CLOCK_SKEW_SECONDS
from idp.oauth.request import ProtocolRequest
from idp.platform import clock
from idp.platform.db import RepeatedError
from idp.platform.errors import Busy, InvalidClient, Problem
from idp.platform.metrics.declarations import REPLAYS
from idp.platform.onetime import service as onetime
from idp.platform.secrets import from_b64url
from idp.platform.storage import Storage

TYPES = frozenset({"jwt", "client-authentication+jwt"})
"""What the header's `typ` may say; a JWT made for something else proves nothing (RFC 8725 3.11)."""
PURPOSE = "client-assertion"
MAX_LENGTH = 8192
MAX_LIFETIME_SECONDS = 3600
MAX_JTI = 255
TOKEN_PATH = "/connect/token"
PAR_PATH = "/connect/par"


def read_unverified_client_id(unverified_jwt: str) -> str:
    """Read which client an assertion speaks for, to find the keys it must be checked with."""
    subject = None
    try:
        if len(unverified_jwt) <= MAX_LENGTH:
            _, payload, _ = unverified_jwt.split(".")
            subject = orjson.loads(from_b64url(payload))["sub"]
    except (ValueError, KeyError, TypeError):
        pass
    if not isinstance(subject, str):
        message = "The client assertion is malformed"
        raise InvalidClient(message)
    return subject


async def is_valid(
    storage: Storage, request: ProtocolRequest, client: ClientView, credentials: Credentials
) -> bool:
    """Return whether the assertion is the client's, meant for us, fresh and not seen before."""
    verified = await _verify(storage, client, credentials.unverified_proof)
    if verified is None:
        return False
    header, claims = verified
    if str(header.get("typ", "JWT")).lower() not in TYPES:
        return False
    now = clock.timestamp()
    expiry = claims.get("exp")
    jti = claims.get("jti")
    if (
        claims.get("iss") != client.client_id
        or claims.get("sub") != client.client_id
        or not _is_for_us(claims.get("aud"), request, client)
        or not isinstance(expiry, int | float)
        or not now - CLOCK_SKEW_SECONDS < expiry <= now + MAX_LIFETIME_SECONDS
        or not keys.has_begun(claims.get("nbf"))
        or not keys.has_begun(claims.get("iat"))
        or not _is_short(claims.get("iat"), expiry)
        or not isinstance(jti, str)
        or not 0 < len(jti) <= MAX_JTI
    ):
        return False
    # RFC 7523 3: each assertion once, whatever becomes of the request.
    expires_at = datetime.fromtimestamp(expiry + CLOCK_SKEW_SECONDS, tz=clock.now().tzinfo)
    try:
        await storage.write_once(
            onetime.CLAIM, onetime.claimed(PURPOSE, f"{client.client_id} {jti}", expires_at)
        )
    except RepeatedError:
        storage.runtime.counts.add(REPLAYS, "assertion")
        return False
    return True


def _is_for_us(audience: Any, request: ProtocolRequest, client: ClientView) -> bool:
    # One string, never a list: an assertion for another server must not work here.
    if client.strict_assertion_audience:
        return bool(audience == request.issuer.url)
    paths = {TOKEN_PATH, request.path} if request.path == PAR_PATH else {TOKEN_PATH}  # RFC 9126 2
    own = {request.issuer.url, *map(request.endpoint_url, paths)}
    if request.is_alias:
        own.update(request.host_url + path for path in paths)  # RFC 8705 5
    return isinstance(audience, str) and audience in own


def _is_short(issued: Any, expiry: float) -> bool:
    """Return whether an assertion that says when it was made was made for a short time."""
    return issued is None or bool(expiry - issued <= MAX_LIFETIME_SECONDS)


async def _verify(
    storage: Storage, client: ClientView, unverified_jwt: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Check the signature with the client's registered keys; None when it proves nothing.

    Busy when they are not here and no more callers may wait for them.
    """
    alg = client.token_endpoint_auth_signing_alg
    try:
        if client.jwks is not None:
            return keys.verify_registered(client, unverified_jwt, alg)
        # On a thread: the keys may have to be fetched.
        return await storage.in_session(keys.verify, client, unverified_jwt, alg)
    except Busy:
        raise
    except Problem:
        return None
