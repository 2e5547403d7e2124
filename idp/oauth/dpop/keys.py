"""The public keys that DPoP proofs bring along (RFC 9449 4.2), read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from idp.platform.errors import InvalidDpopProof
from idp.platform.signing import compact
from idp.platform.signing.algorithms import (
    ALGORITHMS,
    P256_BYTES,
    Algorithm,
    PublicKey,
    canonical,
    load_public,
    thumbprint,
)

OFFERED = ("ES256", "PS256", "EdDSA")
"""Algorithms of proofs. RS256 is not among them: FAPI 2.0 forbids it."""

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
MAX_RSA_EXPONENT_BITS = 33
_KINDS: Mapping[str, Mapping[str, str]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "PS256": {"kty": "RSA"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
_NUMBERS = {"EC": ("x", "y"), "RSA": ("n", "e"), "OKP": ("x",)}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def read(header: Mapping[str, Any]) -> tuple[Algorithm, str, PublicKey]:
    """Return the algorithm of a proof, the thumbprint of its key and the key itself."""
    name = canonical(header.get("alg"))
    if name not in OFFERED:
        raise InvalidDpopProof("The algorithm of the DPoP proof is not supported")
    jwk = header.get("jwk")
    if not isinstance(jwk, dict):
        raise InvalidDpopProof("The DPoP proof has no jwk")
    if not _PRIVATE.isdisjoint(jwk):
        # RFC 9449 4.3: a key that was shown to others proves nothing any more.
        raise InvalidDpopProof("The jwk of the DPoP proof holds a private key")
    kind = _KINDS[name]
    if any(jwk.get(member) != value for member, value in kind.items()):
        raise InvalidDpopProof("The jwk of the DPoP proof does not fit its algorithm")
    needed = sorted({*kind, *_NUMBERS[kind["kty"]]})
    if not all(isinstance(jwk.get(member), str) for member in needed):
        raise InvalidDpopProof("The jwk of the DPoP proof lacks a member")
    return ALGORITHMS[name], *_load({member: jwk[member] for member in needed})


def _load(jwk: dict[str, str]) -> tuple[str, PublicKey]:
    """Return the thumbprint of a key of its required members (RFC 7638), and the key."""
    try:
        numbers = [compact.decode(jwk[name].encode()) for name in _NUMBERS[jwk["kty"]]]
        if jwk["kty"] == "RSA":
            _check_rsa(*numbers)
        else:
            _check_lengths(numbers)
        return thumbprint(jwk), load_public(jwk)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidDpopProof("The jwk of the DPoP proof cannot be read") from error


def _check_lengths(numbers: Iterable[bytes]) -> None:
    """Refuse numbers of another length than P-256 and Ed25519 have (RFC 7518 6.2.1.2)."""
    if any(len(number) != P256_BYTES for number in numbers):
        raise ValueError("length")


def _check_rsa(modulus: bytes, exponent: bytes) -> None:
    """Refuse a key that is weak, costly to use, or written with leading zeros (RFC 7518 2)."""
    if not (modulus and modulus[0] and exponent and exponent[0]):
        raise ValueError("leading zeros")
    if not MIN_RSA_BITS <= int.from_bytes(modulus, "big").bit_length() <= MAX_RSA_BITS:
        raise ValueError("size")
    number = int.from_bytes(exponent, "big")
    if number.bit_length() > MAX_RSA_EXPONENT_BITS or number < 3:  # noqa: PLR2004 - the least
        raise ValueError("exponent")
