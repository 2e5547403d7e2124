"""Tokens that clients sign, checked with the keys that they registered."""

from __future__ import annotations

import hmac
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idp.platform.errors import InvalidToken
from idp.platform.signing import compact
from idp.platform.signing.algorithms import ALGORITHMS, public_jwk
from idp.platform.signing.foreign import UnknownKeyError, verify_foreign

pytestmark = pytest.mark.no_database

CLAIMS = {"iss": "client", "sub": "client", "jti": "1"}
RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, Any] = {"RS256": RSA, "PS256": RSA, "ES256": P256, "EdDSA": ED25519}
KINDS: dict[str, Any] = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}


def jwk_of(alg: str, key: Any = None, **members: Any) -> dict[str, Any]:
    found = KINDS[alg].import_key(key or KEYS[alg])
    return {**found.as_dict(private=False), **members}


def signed(alg: str, key: Any = None, claims: dict[str, Any] | None = None, **header: Any) -> str:
    return jwt.encode(
        CLAIMS if claims is None else claims, key or KEYS[alg], algorithm=alg, headers=header
    )


def refuse(text: str, jwks: Any, **options: Any) -> str:
    with pytest.raises(InvalidToken) as refusal:
        verify_foreign(text, jwks, **options)
    assert refusal.value.detail == InvalidToken.title
    return str(refusal.value.debug)


@pytest.mark.parametrize("alg", KEYS)
def test_a_token_of_each_algorithm_is_accepted(alg: str) -> None:
    jwks = {"keys": [jwk_of(alg, kid="a")]}
    header, claims = verify_foreign(signed(alg, kid="a"), jwks)
    assert (header["alg"], claims) == (alg, CLAIMS)


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS384", "PS512", "ES384"])
def test_longer_hashes_are_accepted_where_the_caller_lists_them(alg: str) -> None:
    key = P384 if alg == "ES384" else RSA
    kind = ECKey if alg == "ES384" else RSAKey
    jwks = {"keys": [kind.import_key(key).as_dict(private=False)]}
    text = signed(alg, key)
    assert refuse(text, jwks) == "algorithm not allowed"
    assert verify_foreign(text, jwks, algorithms=(alg,))[1] == CLAIMS


def test_the_kid_chooses_among_several_keys() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    jwks = {"keys": [jwk_of("ES256", other, kid="old"), jwk_of("ES256", kid="new")]}
    assert verify_foreign(signed("ES256", kid="new"), jwks)[1] == CLAIMS
    assert refuse(signed("ES256", kid="old"), jwks) == "wrong signature"
    assert refuse(signed("ES256"), jwks) == "several keys of the set fit"


def test_a_kid_that_is_not_there_is_told_apart_so_that_keys_can_be_fetched_again() -> None:
    jwks = {"keys": [jwk_of("ES256", kid="old")]}
    with pytest.raises(UnknownKeyError):
        verify_foreign(signed("ES256", kid="new"), jwks)
    with pytest.raises(UnknownKeyError):
        verify_foreign(signed("ES256", kid="old"), {"keys": []})


def test_a_single_fitting_key_needs_no_kid() -> None:
    jwks = {"keys": [jwk_of("RS256", kid="r"), jwk_of("ES256", kid="e")]}
    assert verify_foreign(signed("ES256"), jwks)[1] == CLAIMS


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "RS256"},
        {"crv": "P-384"},
        {"kty": "RSA"},
    ],
)
def test_a_key_for_something_else_is_not_used(members: dict[str, Any]) -> None:
    jwks = {"keys": [jwk_of("ES256") | members]}
    with pytest.raises(UnknownKeyError):
        verify_foreign(signed("ES256"), jwks)


@pytest.mark.parametrize("algorithms", [("RS256",), ("HS256", "none", "RS256")])
@pytest.mark.parametrize("alg", ["none", "HS256", "HS512", "RSA-OAEP", "dir", None, 1])
def test_shared_secrets_and_nothing_are_no_signature(alg: Any, algorithms: Any) -> None:
    jwk = jwk_of("RS256", kid="a")
    head = compact.encode(orjson.dumps({"alg": alg, "kid": "a"}))
    signing_input = head + b"." + compact.encode(orjson.dumps(CLAIMS))
    oct_key = {"kty": "oct", "k": compact.encode(b"k" * 32).decode(), "kid": "a"}
    for secret in (jwk["n"].encode(), b"k" * 32):
        signature = compact.encode(hmac.digest(secret, signing_input, "sha256"))
        text = (signing_input + b"." + signature).decode()
        for jwks in ({"keys": [jwk]}, {"keys": [oct_key]}):
            assert refuse(text, jwks, algorithms=algorithms) == "algorithm not allowed"


def test_a_key_in_the_header_is_refused() -> None:
    evil = ec.generate_private_key(ec.SECP256R1())
    jwks = {"keys": [jwk_of("ES256")]}
    for header in (
        {"jwk": jwk_of("ES256", evil)},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False},
    ):
        # PyJWT writes what it is given; even our own client's signature does not help.
        text = _raw({"alg": "ES256", **header})
        assert refuse(text, jwks) == "header brings keys or critical members"


def _raw(header: dict[str, Any], payload: bytes = b"{}") -> str:
    signing_input = compact.encode(orjson.dumps(header)) + b"." + compact.encode(payload)
    signature = ALGORITHMS["ES256"].sign(P256, signing_input)
    return (signing_input + b"." + compact.encode(signature)).decode()


def test_a_changed_token_is_refused() -> None:
    jwks = {"keys": [jwk_of("ES256")]}
    head, _, signature = signed("ES256").split(".")
    body = signed("ES256", claims={"sub": "other"}).split(".")[1]
    assert refuse(f"{head}.{body}.{signature}", jwks) == "wrong signature"
    assert refuse(f"{head}.{body}.{signature[:40]}", jwks) == "wrong signature"


@pytest.mark.parametrize("payload", [b"[]", b"7", b"{", b"\xff"])
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    refuse(_raw({"alg": "ES256"}, payload), {"keys": [jwk_of("ES256")]})


@pytest.mark.parametrize("kid", [7, ["a"], {}])
def test_a_kid_of_another_kind_is_refused(kid: Any) -> None:
    refuse(_raw({"alg": "ES256", "kid": kid}), {"keys": [jwk_of("ES256", kid="a")]})


def test_an_oversized_token_is_refused() -> None:
    text = signed("ES256", claims={"fill": "x" * compact.MAX_SIZE})
    assert refuse(text, {"keys": [jwk_of("ES256")]}) == "too large"


@pytest.mark.parametrize(
    "jwks",
    [{}, {"keys": None}, {"keys": {}}, {"keys": [{"kty": "EC"}] * 51}],
)
def test_a_broken_key_set_is_refused(jwks: Any) -> None:
    refuse(signed("ES256"), jwks)


@pytest.mark.parametrize("jwks", [{"keys": [None, 7, "x"]}, {"keys": [{"kty": "oct", "k": "AA"}]}])
def test_a_key_set_without_usable_keys_has_no_key(jwks: Any) -> None:
    with pytest.raises(UnknownKeyError):
        verify_foreign(signed("ES256"), jwks)


@pytest.mark.parametrize(
    "change",
    [
        {"x": ""},
        {"x": None},
        {"y": 7},
        {"x": "!!"},
        {"x": "AAAA", "y": "AAAA"},  # not on the curve
        {"d": "AAAA"},
    ],
)
def test_a_broken_or_private_key_is_refused(change: dict[str, Any]) -> None:
    refuse(signed("ES256"), {"keys": [jwk_of("ES256") | change]})


def test_a_weak_or_costly_rsa_key_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    text = signed("RS256")
    assert "bits" in refuse(text, {"keys": [public_jwk(weak)]})
    huge = {"kty": "RSA", "n": compact.encode(b"\xff" * 1100).decode(), "e": "AQAB"}
    assert "bits" in refuse(text, {"keys": [huge]})
    slow = jwk_of("RS256") | {"e": jwk_of("RS256")["n"]}
    assert "exponent" in refuse(text, {"keys": [slow]})
