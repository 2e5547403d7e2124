"""Clients whose requests carry DPoP proofs (RFC 9449), each of them a new one."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

READY = 1000
"""Proofs that a connection makes before it is measured; making one costs as much as checking it."""

_ECDSA = ec.ECDSA(SHA256())
_numbers = itertools.count()


class Key:
    """A key of a client."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        point = self._private.public_key().public_numbers()
        x, y = (_encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
        jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        self._header = _json({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk})

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """Make a proof for a request."""
        claims: dict[str, Any] = {
            "jti": f"{time.time_ns()}-{next(_numbers)}",
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
        }
        if token is not None:
            claims["ath"] = _encode(hashlib.sha256(token.encode()).digest())
        text = f"{self._header}.{_json(claims)}"
        r, s = decode_dss_signature(self._private.sign(text.encode(), _ECDSA))
        return f"{text}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def proofs(self, method: str, url: str, token: str | None = None) -> Iterator[str]:
        """Make proofs, some of them beforehand."""
        yield from [self.proof(method, url, token) for _ in range(READY)]
        while True:
            yield self.proof(method, url, token)


def _json(content: dict[str, Any]) -> str:
    return _encode(json.dumps(content, separators=(",", ":")).encode())


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
