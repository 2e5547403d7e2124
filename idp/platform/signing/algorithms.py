"""The signature algorithms of the service: make, read and use a key of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from idp.platform.secrets import b64url, from_b64url

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

RSA_BITS = 2048
MIN_RSA_EXPONENT = 65537
P256_BYTES = 32

_PKCS1 = padding.PKCS1v15()
_PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=SHA256.digest_size)
_SHA256 = SHA256()
_ECDSA = ec.ECDSA(SHA256())


class WeakKeyError(ValueError):
    """A key that must not sign; the message names the reason."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One value of the `alg` header (RFC 7518 3.1, RFC 8037 3.1)."""

    name: str
    key_type: type[PrivateKey]
    generate: Callable[[], PrivateKey]
    sign: Callable[[Any, bytes], bytes]
    verify: Callable[[Any, bytes, bytes], None]
    """Raises InvalidSignature: key, signature, signed bytes."""


def _generate_rsa() -> PrivateKey:
    return rsa.generate_private_key(public_exponent=MIN_RSA_EXPONENT, key_size=RSA_BITS)


def _generate_p256() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _sign_rs256(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    return key.sign(data, _PKCS1, _SHA256)


def _verify_rs256(key: rsa.RSAPublicKey, signature: bytes, data: bytes) -> None:
    key.verify(signature, data, _PKCS1, _SHA256)


def _sign_ps256(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    return key.sign(data, _PSS, _SHA256)


def _verify_ps256(key: rsa.RSAPublicKey, signature: bytes, data: bytes) -> None:
    key.verify(signature, data, _PSS, _SHA256)


def _sign_es256(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    # RFC 7518 3.4: the two integers side by side, not the DER that libraries make.
    r, s = decode_dss_signature(key.sign(data, _ECDSA))
    return r.to_bytes(P256_BYTES, "big") + s.to_bytes(P256_BYTES, "big")


def _verify_es256(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
    if len(signature) != 2 * P256_BYTES:
        raise InvalidSignature
    r = int.from_bytes(signature[:P256_BYTES], "big")
    s = int.from_bytes(signature[P256_BYTES:], "big")
    key.verify(encode_dss_signature(r, s), data, _ECDSA)


def _sign_eddsa(key: ed25519.Ed25519PrivateKey, data: bytes) -> bytes:
    return key.sign(data)


def _verify_eddsa(key: ed25519.Ed25519PublicKey, signature: bytes, data: bytes) -> None:
    key.verify(signature, data)


ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("RS256", rsa.RSAPrivateKey, _generate_rsa, _sign_rs256, _verify_rs256),
        Algorithm("PS256", rsa.RSAPrivateKey, _generate_rsa, _sign_ps256, _verify_ps256),
        Algorithm("ES256", ec.EllipticCurvePrivateKey, _generate_p256, _sign_es256, _verify_es256),
        Algorithm(
            "EdDSA",
            ed25519.Ed25519PrivateKey,
            ed25519.Ed25519PrivateKey.generate,
            _sign_eddsa,
            _verify_eddsa,
        ),
    )
}


_NAMES = {name: name for name in ALGORITHMS} | {"Ed25519": "EdDSA"}
"""Names that others use of algorithms; RFC 9864 has another one for EdDSA with Ed25519."""


def canonical(name: object) -> str | None:
    """Return our name of an algorithm that others name; None: it is not one of ours."""
    return _NAMES.get(name) if isinstance(name, str) else None


def dump_private(key: PrivateKey) -> bytes:
    """Write a private key as PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_private(pkcs8: bytes) -> PrivateKey:
    """Read what `dump_private` wrote."""
    key = serialization.load_der_private_key(pkcs8, password=None)
    return _usable(key)


def load_pem(pem: bytes) -> PrivateKey:
    """Read a private key from PEM: PKCS #8, PKCS #1 or SEC1, without a passphrase."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise WeakKeyError("it is protected by a passphrase; store it without one") from None
    except ValueError:
        raise WeakKeyError("it holds no private key in PEM form") from None
    except UnsupportedAlgorithm:
        raise WeakKeyError(_KINDS) from None
    return _usable(key)


_KINDS = "only RSA, P-256 and Ed25519 keys can sign"


def _usable(key: object) -> PrivateKey:
    """Return the key when it is of a kind and strength that may sign."""
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < RSA_BITS:
            raise WeakKeyError(f"an RSA key needs {RSA_BITS} bits or more, it has {key.key_size}")
        if key.public_key().public_numbers().e < MIN_RSA_EXPONENT:
            raise WeakKeyError(f"the exponent of an RSA key must be {MIN_RSA_EXPONENT} or more")
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if key.curve.name != ec.SECP256R1.name:
            raise WeakKeyError(f"of elliptic curves only P-256 can sign, it is on {key.curve.name}")
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise WeakKeyError(_KINDS)


def algorithm_of(key: PrivateKey) -> str:
    """Return the algorithm that a key signs by unless another is requested."""
    return next(name for name, found in ALGORITHMS.items() if isinstance(key, found.key_type))


def public_jwk(key: PrivateKey) -> dict[str, str]:
    """Write the public part as a JWK of its required members (RFC 7517, RFC 8037)."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _uint(numbers.n), "e": _uint(numbers.e)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": b64url(point.x.to_bytes(P256_BYTES, "big")),
            "y": b64url(point.y.to_bytes(P256_BYTES, "big")),
        }
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}


def load_public(jwk: dict[str, Any]) -> PublicKey:
    """Read what `public_jwk` wrote."""
    if jwk["kty"] == "RSA":
        return rsa.RSAPublicNumbers(_int(jwk["e"]), _int(jwk["n"])).public_key()
    if jwk["kty"] == "EC":
        return ec.EllipticCurvePublicNumbers(
            _int(jwk["x"]), _int(jwk["y"]), ec.SECP256R1()
        ).public_key()
    return ed25519.Ed25519PublicKey.from_public_bytes(from_b64url(jwk["x"]))


def thumbprint(jwk: dict[str, str]) -> str:
    """Hash the required members of a JWK (RFC 7638 3)."""
    canonical = orjson.dumps(jwk, option=orjson.OPT_SORT_KEYS)
    return b64url(hashlib.sha256(canonical).digest())


def _uint(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _int(text: str) -> int:
    return int.from_bytes(from_b64url(text), "big")
