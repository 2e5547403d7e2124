"""Clients that hold a key and prove it (RFC 9449), as the specification has them do it."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any

import orjson
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

NEW_KEYS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ECKey.generate_key("P-256"),
    "PS256": lambda: RSAKey.generate_key(2048),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
}


def encode(value: bytes) -> str:
    """Write bytes in base64url."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Prover:
    """Holds one key and makes proofs with it."""

    def __init__(self, alg: str = "ES256", issuer: str = "http://127.0.0.1:8000") -> None:
        self.alg, self.issuer = alg, issuer
        self.key: Any = NEW_KEYS[alg]()
        self.nonce: str | None = None

    @property
    def jwk(self) -> dict[str, str]:
        """Public key."""
        return {
            name: value
            for name, value in self.key.as_dict(private=False).items()
            if name in {"kty", "crv", "x", "y", "n", "e"}
        }

    @property
    def jkt(self) -> str:
        """Thumbprint of the key (RFC 7638)."""
        return encode(hashlib.sha256(orjson.dumps(self.jwk, option=orjson.OPT_SORT_KEYS)).digest())

    def claims(self, method: str, path: str, token: str | None = None) -> dict[str, Any]:
        """Return the claims of a good proof."""
        claims: dict[str, Any] = {
            "jti": token_urlsafe(16),
            "htm": method,
            "htu": path if "://" in path else self.issuer + path,
            "iat": int(time.time()),
        }
        if token is not None:
            claims["ath"] = encode(hashlib.sha256(token.encode()).digest())
        if self.nonce is not None:
            claims["nonce"] = self.nonce
        return claims

    def sign(self, header: dict[str, Any], claims: dict[str, Any] | bytes) -> str:
        """Sign what may be no proof at all; None leaves a member out."""
        complete = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk, **header}
        kept = {name: value for name, value in complete.items() if value is not None}
        if isinstance(claims, dict):
            claims = orjson.dumps({k: v for k, v in claims.items() if v is not None})
        text = f"{encode(orjson.dumps(kept))}.{encode(claims)}"
        signature = JWSRegistry.algorithms[self.alg].sign(text.encode(), self.key)
        return f"{text}.{encode(signature)}"

    def proof(
        self,
        method: str = "POST",
        path: str = "/connect/token",
        token: str | None = None,
        *,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Make a proof for a request; claims and members of the header may be others."""
        return self.sign(header or {}, {**self.claims(method, path, token), **claims})

    def shows(self, *request: str, **claims: Any) -> dict[str, str]:
        """Return the header of a request without a token."""
        return {"DPoP": self.proof(*request, **claims)}

    def uses(self, token: str, method: str, path: str, **claims: Any) -> dict[str, str]:
        """Return the headers of a request with a token."""
        proof = self.proof(method, path, token, **claims)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}
