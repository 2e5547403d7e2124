"""Clients with keys: DPoP proofs (RFC 9449) and client assertions (RFC 7523), each a new one."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

READY = 1000
"""Proofs that a connection makes before it is measured; making one costs as much as checking it."""

READY_ASSERTIONS = 200
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Made = TypeVar("Made")

_ECDSA = ec.ECDSA(SHA256())
_numbers = itertools.count()


class Key:
    """A key of a client."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        point = self._private.public_key().public_numbers()
        x, y = (_encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
        self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        self._proof = _json({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk})
        self._assertion = _json({"typ": "JWT", "alg": "ES256"})

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """Make a proof for a request."""
        claims = {"jti": _new_id(), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = _encode(hashlib.sha256(token.encode()).digest())
        return self._signed(self._proof, claims)

    def proofs(
        self, method: str, url: str, token: str | None = None, ready: int = READY
    ) -> Iterator[str]:
        """Make proofs, some of them beforehand."""
        return _ahead(lambda: self.proof(method, url, token), ready)

    def assertions(self, client_ids: Iterator[str], issuer: str) -> Iterator[dict[str, str]]:
        """Make the members by which clients authenticate in turn, some of them beforehand."""
        return _ahead(lambda: self.assertion(next(client_ids), issuer), READY_ASSERTIONS)

    def assertion(self, client_id: str, issuer: str) -> dict[str, str]:
        """Return the members by which a client authenticates (RFC 7523 2.2)."""
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": issuer, "jti": _new_id()}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._signed(
                self._assertion, claims | {"iat": now, "exp": now + 300}
            ),
        }

    def _signed(self, header: str, claims: Mapping[str, Any]) -> str:
        text = f"{header}.{_json(claims)}"
        r, s = decode_dss_signature(self._private.sign(text.encode(), _ECDSA))
        return f"{text}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _ahead(make: Callable[[], Made], count: int) -> Iterator[Made]:
    """Make things one after the other, so many of them before the first is handed out."""
    yield from [make() for _ in range(count)]
    while True:
        yield make()


def _new_id() -> str:
    return f"{time.time_ns()}-{next(_numbers)}"


def _json(content: Mapping[str, Any]) -> str:
    return _encode(json.dumps(content, separators=(",", ":")).encode())


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
