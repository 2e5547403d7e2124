"""The checks of a DPoP proof (RFC 9449 4.3), and what is left of it afterwards."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature

from idp.oauth.dpop import NONCE_HEADER, addresses, keys, nonces
from idp.oauth.request import ProtocolRequest
from idp.platform import clock
from idp.platform.errors import InvalidDpopProof, UseDpopNonce
from idp.platform.issuer import Issuer
from idp.platform.runtime import Runtime
from idp.platform.secrets import b64url
from idp.platform.signing import compact
from idp.platform.signing.algorithms import Algorithm, PublicKey
from idp.platform.storage import Storage
from idp.platform.web.authorization import Evidence

TYPE = "dpop+jwt"
MAX_LENGTH = 4096
MAX_JTI = 512
KEPT = 2048
"""Headers that a worker keeps with the key in them, which is all that a client writes there."""
SECONDS = 60
"""How far `iat` may be from now where a proof has no nonce."""
CLOCK_SKEW_SECONDS = 10
KEPT_LONGER_SECONDS = 5
"""Clocks of nodes differ, and a proof must not be forgotten while one of them accepts it."""


@dataclass(slots=True)
class Proof:
    """A proof that is good, but for the question whether it was seen before: see `once`."""

    jkt: str
    """Thumbprint of the key that the sender holds (RFC 7638)."""
    key_hash: bytes
    """By which it is known again."""
    expires_at: datetime
    """When it is not accepted any more, whether it was seen or not."""
    headers: Mapping[str, str]
    """What the answer says of nonces."""
    is_spent: bool = False
    """Whether its one use is recorded."""


def check(
    runtime: Runtime, issuer: Issuer, evidence: Evidence, *, token: str | None = None
) -> Proof:
    """Return the proof of a request, or raise InvalidDpopProof or UseDpopNonce.

    `token`: the access token that is presented with it.
    """
    header, payload, signature = _split(evidence.proof or "")
    try:
        algorithm, jkt, key = _read_header(header)
        algorithm.verify(key, compact.decode(signature), header + b"." + payload)
        claims = compact.json_object(compact.decode(payload))
    except InvalidSignature:
        raise InvalidDpopProof("The signature of the DPoP proof is wrong") from None
    except compact.MalformedError as error:
        raise _malformed(error) from None
    jti = _jti(claims)
    _check_request(claims, evidence)
    if token is not None:
        _check_token(claims, token)
    end, headers = _check_time(runtime, issuer, claims)
    expires_at = datetime.fromtimestamp(end + KEPT_LONGER_SECONDS, tz=UTC)
    # Of the key and the jti: otherwise one client could use up what another one sends.
    key_hash = hashlib.sha256((jkt + jti).encode()).digest()
    return Proof(jkt, key_hash, expires_at, headers)


def of_request(storage: Storage, request: ProtocolRequest) -> Proof | None:
    """Return the proof that a client sends for itself; None: it sends none."""
    if request.proof is None:
        return None
    return check(storage.runtime, request.issuer, request.evidence())


def _split(text: str) -> tuple[bytes, bytes, bytes]:
    if "," in text:
        # The lines of two headers of a name arrive as one, and no JWT has a comma.
        raise InvalidDpopProof("There must be one DPoP header")
    if len(text) > MAX_LENGTH:
        raise InvalidDpopProof("The DPoP proof is too long")
    try:
        return compact.segments(text)
    except compact.MalformedError as error:
        raise _malformed(error) from None


def _malformed(error: compact.MalformedError) -> InvalidDpopProof:
    return InvalidDpopProof("The DPoP proof is not a JWT", debug=str(error))


@lru_cache(maxsize=KEPT)
def _read_header(segment: bytes) -> tuple[Algorithm, str, PublicKey]:
    """Return the algorithm of proofs with this header, the thumbprint of their key and the key."""
    header = compact.json_object(compact.decode(segment))
    if str(header.get("typ")).lower() != TYPE:
        raise InvalidDpopProof(f"The typ of the DPoP proof is not {TYPE}")
    if "crit" in header:
        raise InvalidDpopProof("The DPoP proof has critical header members")
    return keys.read(header)


def _jti(claims: Mapping[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise InvalidDpopProof("The DPoP proof has no usable jti")
    return jti


def _check_request(claims: Mapping[str, Any], evidence: Evidence) -> None:
    """Refuse a proof that was made for another request."""
    if claims.get("htm") != evidence.method:
        raise InvalidDpopProof("htm of the DPoP proof is not the method of the request")
    htu = claims.get("htu")
    if not isinstance(htu, str) or not addresses.is_one_of(htu, evidence.addresses):
        raise InvalidDpopProof("htu of the DPoP proof is not the address of the request")


def _check_token(claims: Mapping[str, Any], token: str) -> None:
    """Refuse a proof that was made for another access token."""
    ath = claims.get("ath")
    expected = b64url(hashlib.sha256(token.encode()).digest())
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(), expected.encode()):
        raise InvalidDpopProof("ath of the DPoP proof is not the hash of the access token")


def _check_time(
    runtime: Runtime, issuer: Issuer, claims: Mapping[str, Any]
) -> tuple[float, Mapping[str, str]]:
    """Return until when a proof is accepted, and what the answer says of nonces."""
    now = clock.now().timestamp()
    issued: Any = claims.get("iat")
    if not _is_number(issued):
        raise InvalidDpopProof("The DPoP proof has no usable iat")
    if not _is_in_force(claims, now):
        raise InvalidDpopProof("The DPoP proof is not valid now")
    nonce = claims.get("nonce")
    if nonce is not None:
        return _check_nonce(runtime, issuer, nonce)
    if runtime.settings.dpop_nonce or abs(now - issued) > SECONDS:
        # RFC 9449 11.1: by a nonce a client recovers whose clock is wrong.
        raise UseDpopNonce(headers=_current(runtime, issuer))
    return issued + SECONDS, {}


def _check_nonce(runtime: Runtime, issuer: Issuer, nonce: Any) -> tuple[int, Mapping[str, str]]:
    current = _current(runtime, issuer)
    if not isinstance(nonce, str):
        raise InvalidDpopProof("The nonce of the DPoP proof is not text")
    end = nonces.end_of(runtime.keyring, issuer, nonce)
    if end is None:
        raise UseDpopNonce(headers=current)
    is_latest = nonce == current[NONCE_HEADER]
    return end, current if runtime.settings.dpop_nonce or not is_latest else {}


def _current(runtime: Runtime, issuer: Issuer) -> dict[str, str]:
    return {NONCE_HEADER: nonces.current(runtime.keyring, issuer)}


def _is_in_force(claims: Mapping[str, Any], now: float) -> bool:
    """Return whether `exp` and `nbf`, which a proof may have, say nothing against it."""
    expiry, begin = claims.get("exp", now), claims.get("nbf", now)
    return (
        _is_number(expiry)
        and _is_number(begin)
        and expiry > now - CLOCK_SKEW_SECONDS
        and begin <= now + CLOCK_SKEW_SECONDS
    )


_NUMBERS = frozenset({int, float})
"""What JSON numbers are read as; `true` is none of them."""


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS
