"""Tokens that we never signed, made as a forger would make them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests import protocol


def encode(value: bytes) -> str:
    """Write bytes in base64url."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def part(content: Mapping[str, Any]) -> str:
    """Write a header or a payload."""
    return encode(json.dumps(content).encode())


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Make a token whose signature is empty."""
    return f"{part(header)}.{part(claims)}."


def by_shared_secret(header: Mapping[str, Any], claims: Mapping[str, Any], secret: bytes) -> str:
    """Sign with HS256."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{encode(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def by_rsa(header: Mapping[str, Any], claims: Mapping[str, Any], key: RSAPrivateKey) -> str:
    """Sign with RS256."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def new_rsa() -> RSAPrivateKey:
    """Make a key of the forger's own."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_jwk(key: RSAPrivateKey, **members: str) -> dict[str, str]:
    """Describe the public half."""
    numbers = key.public_key().public_numbers()

    def number(value: int) -> str:
        return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))

    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **members}


def with_header(token: str, **members: Any) -> str:
    """Keep payload and signature of a token and change its header."""
    _, payload, signature = token.split(".")
    return f"{part({**protocol.header(token), **members})}.{payload}.{signature}"


def with_claims(token: str, **claims: Any) -> str:
    """Keep header and signature of a token and change its claims."""
    head, _, signature = token.split(".")
    return f"{head}.{part({**protocol.payload(token), **claims})}.{signature}"


def assertion_claims(client_id: str, audience: Any, **claims: Any) -> dict[str, Any]:
    """Return the claims of a good client assertion; None leaves one out."""
    now = int(time.time())
    complete = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": encode(hashlib.sha256(repr((now, claims)).encode()).digest()),
        "iat": now,
        "exp": now + 60,
        **claims,
    }
    return {name: value for name, value in complete.items() if value is not None}
