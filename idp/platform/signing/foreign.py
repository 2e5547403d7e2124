"""JWTs that others signed, checked with the keys that they registered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from idp.platform.errors import InvalidToken
from idp.platform.signing import compact
from idp.platform.signing.algorithms import ALGORITHMS, canonical

MAX_KEYS = 50
KEPT = 1024
"""Keys that a process keeps: reading one costs as much as a signature."""
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT_BITS = 33

_KEY_TYPES: dict[str, type[RSAKey | ECKey | OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}
# Whatever the caller lists: a shared secret or nothing at all proves no sender.
_ASYMMETRIC = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# Each names a key or rules that the sender brings along (RFC 7515 4.1, RFC 7797).
_REFUSED_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})


class UnknownKeyError(InvalidToken):
    """No registered key fits the header; the keys may have been fetched before a rotation."""


def verify_foreign(
    unverified_jwt: str, jwks: Mapping[str, Any], *, algorithms: Collection[str] = ALGORITHMS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWT that a key of the set signed, or raise InvalidToken.

    UnknownKeyError when the set has no key for it. Issuer, audience, times and type are the
    caller's to check. Certificates in the header are never looked at, and keys in it refused.
    """
    try:
        token = compact.split(unverified_jwt)
    except compact.MalformedError as problem:
        raise InvalidToken(debug=str(problem)) from None
    header = token.header
    alg = canonical(header.get("alg")) or header.get("alg")
    if not isinstance(alg, str) or alg not in algorithms or alg not in _ASYMMETRIC:
        raise InvalidToken(debug="algorithm not allowed")
    if not _REFUSED_HEADERS.isdisjoint(header):
        raise InvalidToken(debug="header brings keys or critical members")
    key = _load(_choose(jwks, header.get("kid"), alg), alg)
    try:
        # The models are taken directly: the registry warns of EdDSA, whose curve we fixed above.
        is_signed = JWSRegistry.algorithms[alg].verify(token.signing_input, token.signature, key)
    except (JoseError, ValueError, TypeError):
        is_signed = False
    if not is_signed:
        raise InvalidToken(debug="wrong signature")
    try:
        return header, compact.json_object(token.payload)
    except compact.MalformedError as problem:
        raise InvalidToken(debug=str(problem)) from None


def _choose(jwks: Mapping[str, Any], kid: object, alg: str) -> dict[str, Any]:
    """Find the one key that the header means.

    OpenID Connect Core 10.1: without `kid` there must be only one that fits.
    """
    keys = jwks.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise InvalidToken(debug="not a usable key set")
    fitting = [jwk for jwk in keys if isinstance(jwk, dict) and _fits(jwk, alg)]
    if kid is not None:
        fitting = [jwk for jwk in fitting if jwk.get("kid") == kid]
    if not fitting:
        raise UnknownKeyError(debug="no key of the set fits")
    if len(fitting) > 1:
        raise InvalidToken(debug="several keys of the set fit")
    return fitting[0]


def _fits(jwk: Mapping[str, Any], alg: str) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    curve = _CURVES.get(alg)
    return (
        jwk.get("kty") == JWSRegistry.algorithms[alg].key_type
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and alg in {jwk.get("alg", alg), canonical(jwk.get("alg"))}
        and (curve is None or jwk.get("crv") == curve)
        and (alg != "EdDSA" or jwk.get("crv") == "Ed25519")
    )


def _load(jwk: Mapping[str, Any], alg: str) -> Key:
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise InvalidToken(debug="a key set must not hold private keys")
    members = tuple((name, jwk[name]) for name in _MEMBERS if name in jwk)
    if not all(isinstance(value, str) for _, value in members):
        raise InvalidToken(debug="its members are missing or wrong")
    key = _import(members)
    try:
        JWSRegistry.algorithms[alg].check_key(key)
    except JoseError:
        raise InvalidToken(debug="the key is of another kind than the algorithm") from None
    return key


@lru_cache(maxsize=KEPT)
def _import(members: tuple[tuple[str, str], ...]) -> Key:
    """Read a public key; InvalidToken when it is broken, weak or too costly to use."""
    jwk: dict[str, Any] = dict(members)
    kind = _KEY_TYPES.get(str(jwk.get("kty")))
    if kind is None:
        raise InvalidToken(debug="its `kty` is none of RSA, EC and OKP")
    if kind is RSAKey:
        _check_rsa(jwk)
    try:
        return kind.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        raise InvalidToken(debug="its members are missing or wrong") from None


def _check_rsa(jwk: Mapping[str, Any]) -> None:
    try:
        modulus, exponent = (
            int.from_bytes(compact.decode(str(jwk.get(name, "")).encode()), "big")
            for name in ("n", "e")
        )
    except compact.MalformedError:
        raise InvalidToken(debug="its members are not base64url") from None
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise InvalidToken(debug=f"an RSA key needs {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if exponent.bit_length() > MAX_RSA_EXPONENT_BITS or exponent < 3:  # noqa: PLR2004 - the least
        raise InvalidToken(debug="its RSA exponent is out of range")
