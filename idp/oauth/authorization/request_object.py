"""Authorization requests that clients signed (RFC 9101): the signature, the claims, the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import orjson
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.directory.product import FAPI2_MESSAGE_SIGNING
from idp.oauth.client_auth import keys
from idp.oauth.client_auth.keys import CLOCK_SKEW_SECONDS
from idp.oauth.request import REPEATABLE, Pairs
from idp.platform import clock
from idp.platform.errors import Busy, InvalidRequestObject, Problem
from idp.platform.issuer import Issuer

TYPES = frozenset({"jwt", "oauth-authz-req+jwt"})
"""What the header's `typ` may say (RFC 9101 10.8, RFC 8725 3.11)."""
# fmt: off
PARAMETERS = frozenset({
    "acr_values", "claims", "claims_locales", "client_id", "code_challenge",
    "code_challenge_method", "display", "dpop_jkt", "id_token_hint", "login_hint", "max_age",
    "nonce", "prompt", "redirect_uri", "registration", "resource", "response_mode", "response_type",
    "scope", "state", "tenant", "ui_locales",
})
# fmt: on
"""What an authorization request may say; the rest is ignored (RFC 6749 3.1)."""
LONGEST_SECONDS = 3600
_JSON = frozenset({"claims"})
"""Parameters that may be written as JSON instead of as a text that holds it."""
_FORBIDDEN = ("request", "request_uri")


def read(session: Session, issuer: Issuer, client: ClientView, unverified_jwt: str) -> Pairs:
    """Return the parameters of a request that the client signed, or raise InvalidRequestObject."""
    header, claims = _verify(session, client, unverified_jwt)
    if str(header.get("typ", "JWT")).lower() not in TYPES:
        _refuse("the request object has another typ")
    _check_parties(issuer, client, claims)
    _check_times(claims)
    if client.security_profile == FAPI2_MESSAGE_SIGNING:
        _check_strictly(claims)
    for name in _FORBIDDEN:
        if name in claims:
            _refuse(f"{name} must not be in a request object")  # RFC 9101 4
    return tuple(_pairs(claims))


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequestObject(debug=reason)


def _verify(
    session: Session, client: ClientView, unverified_jwt: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check the signature; Busy when the client's keys cannot be fetched now."""
    try:
        return keys.verify(session, client, unverified_jwt, client.request_object_signing_alg)
    except Busy:
        raise
    except Problem as problem:
        raise InvalidRequestObject(debug=problem.debug) from None


def _check_parties(issuer: Issuer, client: ClientView, claims: Mapping[str, Any]) -> None:
    """Check who made the request, and for whom."""
    if claims.get("client_id") != client.client_id:
        _refuse("client_id differs")
    if claims.get("iss", client.client_id) != client.client_id:
        _refuse("iss is not the client")
    if claims.get("sub") == client.client_id:
        _refuse("sub is the client: it would be an assertion")  # RFC 9101 10.8
    audience = claims.get("aud", issuer.url)
    if audience != issuer.url and not (isinstance(audience, list) and issuer.url in audience):
        _refuse("aud is not this issuer")


def _check_times(claims: Mapping[str, Any]) -> None:
    """Check the times that are there (RFC 7519 4.1)."""
    expiry = claims.get("exp")
    if expiry is not None and not (
        keys.is_time(expiry) and expiry > clock.timestamp() - CLOCK_SKEW_SECONDS
    ):
        _refuse("expired")
    if not keys.has_begun(claims.get("nbf")) or not keys.has_begun(claims.get("iat")):
        _refuse("not valid yet")


def _check_strictly(claims: Mapping[str, Any]) -> None:
    """Check what FAPI 2.0 Message Signing 5.3.1 asks for besides."""
    begin, expiry = claims.get("nbf"), claims.get("exp")
    if "aud" not in claims or not keys.is_time(begin) or not keys.is_time(expiry):
        _refuse("aud, nbf and exp are required")
    if begin < clock.timestamp() - LONGEST_SECONDS:
        _refuse("nbf is more than an hour ago")
    if expiry > begin + LONGEST_SECONDS:
        _refuse("exp is more than an hour after nbf")


def _pairs(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parameters as they would stand in an address; null and empty are absent."""
    for name, value in claims.items():
        if name not in PARAMETERS or value is None:
            continue
        values = value if name in REPEATABLE and isinstance(value, list) else [value]
        for one in values:
            yield name, _text(name, one)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name in _JSON and isinstance(value, dict):
        return orjson.dumps(value).decode()
    return _refuse(f"{name} is no text")
