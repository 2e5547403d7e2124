"""Tokens that we sign, and the forgeries that must not pass for them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy import event
from sqlalchemy.orm import Session

from idp.platform.errors import InvalidToken, Unavailable
from idp.platform.runtime import Runtime
from idp.platform.signing import algorithms, compact, service, signer

pytestmark = pytest.mark.no_database

ALL = ["RS256", "PS256", "ES256", "EdDSA"]
CLAIMS = {"iss": "https://id.example", "sub": "7", "name": "\N{CJK UNIFIED IDEOGRAPH-738B}"}


@pytest.fixture(autouse=True)
def keys(session: Session) -> None:
    service.ensure(session)
    session.commit()


def key_set(session: Session) -> list[dict[str, str]]:
    found: list[dict[str, str]] = orjson.loads(signer.keys(session).jwks)["keys"]
    return found


def active(session: Session, alg: str) -> str:
    header = compact.split(signer.keys(session).sign({}, alg=alg, typ="JWT")).header
    return str(header["kid"])


def forged(header: dict[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    signing_input = compact.encode(orjson.dumps(header)) + b"." + compact.encode(payload)
    return (signing_input + b"." + compact.encode(sign(signing_input))).decode()


def resigned(session: Session, alg: str, header: dict[str, Any], payload: bytes = b"{}") -> str:
    """Sign a header that we never write with our own key."""
    kid = active(session, alg)
    private = signer._parsed_private[kid]
    members = {"alg": alg, "kid": kid, "typ": "JWT", **header}
    return forged(members, payload, lambda data: algorithms.ALGORITHMS[alg].sign(private, data))


def refuse(session: Session, text: str, typ: str | None = None) -> str:
    """Expect a refusal without details for the caller; return the reason in the log."""
    with pytest.raises(InvalidToken) as refusal:
        signer.keys(session).verify(text, typ=typ)
    assert refusal.value.detail == InvalidToken.title
    return str(refusal.value.debug)


@pytest.mark.parametrize("alg", ALL)
def test_a_token_of_each_algorithm_is_accepted_by_us_and_by_another_library(
    session: Session, alg: str
) -> None:
    text = signer.keys(session).sign(CLAIMS, alg=alg, typ="at+jwt")
    assert signer.keys(session).verify(text, typ="at+jwt") == CLAIMS
    header = jwt.get_unverified_header(text)
    assert header == {"alg": alg, "typ": "at+jwt", "kid": active(session, alg)}
    (public,) = (key for key in key_set(session) if key["kid"] == header["kid"])
    assert jwt.decode(text, jwt.PyJWK(public), algorithms=[alg]) == CLAIMS


@pytest.mark.parametrize("alg", ALL)
def test_a_changed_token_is_refused(session: Session, alg: str) -> None:
    head, body, signature = signer.keys(session).sign(CLAIMS, alg=alg, typ="JWT").split(".")
    other = signer.keys(session).sign({"sub": "8"}, alg=alg, typ="JWT").split(".")
    flipped = compact.decode(signature.encode())
    flipped = bytes([flipped[0] ^ 1]) + flipped[1:]
    for text in (
        f"{head}.{other[1]}.{signature}",
        f"{head}.{body}.{other[2]}",
        f"{head}.{body}.{compact.encode(flipped).decode()}",
        f"{head}.{body}.{signature[:-4]}",
        f"{head}.{body}.{signature}AAAA",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature}.",
        f"{head}.{body}.{signature}=",
    ):
        refuse(session, text)


@pytest.mark.settings(signing_alg="ES256")
def test_the_setting_names_the_algorithm_of_tokens_that_name_none(session: Session) -> None:
    text = signer.keys(session).sign({}, alg=None, typ="JWT")
    assert compact.split(text).header["alg"] == "ES256"
    assert signer.keys(session).default_algorithm == "ES256"
    assert list(signer.keys(session).algorithms) == ["ES256", "RS256", "PS256", "EdDSA"]
    assert key_set(session)[0]["kid"] == active(session, "ES256")


def test_an_algorithm_without_a_key_is_told(session: Session) -> None:
    with pytest.raises(Unavailable, match="idp setup"):
        signer.keys(session).sign({}, alg="HS256", typ="JWT")


def test_the_key_set_is_public_and_complete(session: Session) -> None:
    found = key_set(session)
    assert len(found) == 2 * len(ALL)
    assert {key["use"] for key in found} == {"sig"}
    for key in found:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
        members = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}[key["kty"]]
        assert key.keys() == members | {"kty", "use", "alg", "kid"}
        thumbprint = algorithms.thumbprint({name: key[name] for name in members | {"kty"}})
        assert key["kid"] == thumbprint
    assert signer.keys(session).jwks is signer.keys(session).jwks


def test_signing_and_checking_cost_no_query(runtime: Runtime, session: Session) -> None:
    signer.keys(session).sign(CLAIMS, alg="ES256", typ="JWT")
    session.commit()
    statements: list[str] = []

    @event.listens_for(runtime.engine, "before_cursor_execute")
    def _count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    text = signer.keys(session).sign(CLAIMS, alg="ES256", typ="JWT")
    signer.keys(session).verify(text, typ="JWT")
    assert signer.keys(session).jwks
    assert statements == []


def test_private_keys_are_parsed_once_in_a_process(
    session: Session, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer.keys(session).sign(CLAIMS, alg="RS256", typ="JWT")
    monkeypatch.setattr(signer, "load_private", None)
    runtime.cache.clear()
    signer.keys(session).sign(CLAIMS, alg="RS256", typ="JWT")


def test_the_type_is_compared_without_regard_to_case(session: Session) -> None:
    text = signer.keys(session).sign(CLAIMS, alg="ES256", typ="at+jwt")
    assert signer.keys(session).verify(text, typ="AT+JWT") == CLAIMS


def test_a_token_of_another_type_is_refused(session: Session) -> None:
    id_token = signer.keys(session).sign(CLAIMS, alg="ES256", typ="JWT")
    assert refuse(session, id_token, typ="at+jwt") == "token of another type"
    untyped = resigned(session, "ES256", {"typ": None})
    assert refuse(session, untyped, typ="at+jwt") == "token of another type"
    assert signer.keys(session).verify(id_token, typ=None) == CLAIMS


# Confusion of algorithms (RFC 8725 2.1)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["RS256"], {}])
def test_no_algorithm_is_not_an_algorithm(session: Session, alg: object) -> None:
    kid = active(session, "RS256")
    for signature in (b"", b"x"):
        text = forged(
            {"alg": alg, "kid": kid, "typ": "JWT"}, b'{"sub":"1"}', lambda _, s=signature: s
        )
        refuse(session, text)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(session: Session, alg: str) -> None:
    kid = active(session, "RS256")
    (jwk,) = (key for key in key_set(session) if key["kid"] == kid)
    public = algorithms.load_public(jwk)
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        jwk["n"].encode(),
        orjson.dumps(jwk),
        b"",
    ]
    for secret in secrets:
        text = forged(
            {"alg": alg, "kid": kid, "typ": "JWT"},
            b'{"sub":"1"}',
            lambda data, key=secret: hmac.digest(key, data, "sha" + alg[2:]),
        )
        assert refuse(session, text) == "algorithm differs from the key's"


@pytest.mark.parametrize(
    ("alg", "claimed"),
    [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("ES256", "EdDSA")],
)
def test_a_key_is_good_for_one_algorithm(session: Session, alg: str, claimed: str) -> None:
    assert refuse(session, resigned(session, alg, {"alg": claimed})) == (
        "algorithm differs from the key's"
    )


def test_an_rsa_key_does_not_sign_by_the_other_padding(session: Session) -> None:
    kid = active(session, "PS256")
    private = signer._parsed_private[kid]
    text = forged(
        {"alg": "PS256", "kid": kid, "typ": "JWT"},
        b"{}",
        lambda data: algorithms.ALGORITHMS["RS256"].sign(private, data),
    )
    assert refuse(session, text) == "wrong signature"


@pytest.mark.parametrize("r_and_s", [(0, 0), (1, 0), (0, 1)])
def test_an_ecdsa_signature_of_zeros_is_refused(session: Session, r_and_s: tuple[int, int]) -> None:
    # CVE-2022-21449: zeros once passed for a signature of everything.
    kid = active(session, "ES256")
    raw = b"".join(number.to_bytes(32, "big") for number in r_and_s)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for signature in (raw, order.to_bytes(32, "big") * 2, encode_dss_signature(*r_and_s)):
        header = {"alg": "ES256", "kid": kid, "typ": "JWT"}
        assert refuse(session, forged(header, b"{}", lambda _, s=signature: s)) == (
            "wrong signature"
        )


# Keys that the sender brings along (RFC 8725 3.5 and 3.10)


def test_a_key_in_the_header_is_never_used(session: Session) -> None:
    own = rsa.generate_private_key(65537, 2048)
    jwk = algorithms.public_jwk(own)
    kid = active(session, "RS256")
    for header in (
        {"jwk": jwk},
        {"jwk": jwk, "kid": algorithms.thumbprint(jwk)},
        {"jwk": jwk, "kid": kid},
        {"jku": "https://evil.example/jwks.json", "kid": kid},
        {"x5u": "https://evil.example/chain.pem", "kid": kid},
        {"x5c": ["MIIB"], "kid": kid},
        {"x5t": "AAAA", "kid": kid},
        {"kid": algorithms.thumbprint(jwk)},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": 7},
        {"kid": None},
        {"kid": [kid]},
        {},
    ):
        members = {"alg": "RS256", "typ": "JWT", **header}
        text = forged(
            members, b'{"sub":"1"}', lambda data: algorithms.ALGORITHMS["RS256"].sign(own, data)
        )
        assert refuse(session, text) in {"header with foreign members", "unknown key"}


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"crit": None},
        {"jwk": {}},
        {"jku": "https://id.example/jwks"},
        {"x5c": []},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
)
def test_a_member_that_we_do_not_write_is_refused_even_when_signed(
    session: Session, header: dict[str, Any]
) -> None:
    # RFC 7515 4.1.11: what must be understood and is not, is refused.
    assert refuse(session, resigned(session, "ES256", header)) == "header with foreign members"


# Size, encryption, and payloads of other forms


def test_an_oversized_token_is_refused_unread(session: Session) -> None:
    text = signer.keys(session).sign({"fill": "x" * compact.MAX_SIZE}, alg="ES256", typ="JWT")
    assert refuse(session, text) == "too large"
    assert refuse(session, "a." * 10_000_000) == "too large"


def test_an_encrypted_token_is_not_opened(session: Session) -> None:
    (jwk,) = (key for key in key_set(session) if key["kid"] == active(session, "RS256"))
    public = RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
    to_our_key = jwe.encrypt_compact(
        {"alg": "RSA-OAEP", "enc": "A128GCM", "kid": jwk["kid"]}, b'{"sub":"1"}', public
    )
    bomb = jwe.encrypt_compact(
        {"alg": "dir", "enc": "A128GCM", "zip": "DEF"},
        b" " * 200_000,
        OctKey.generate_key(128),
    )
    for text in (to_our_key, bomb):
        assert refuse(session, text) == "not three parts"


@pytest.mark.parametrize("payload", [b"[]", b"null", b'"text"', b"7", b"{", b"\xff", b"{}{}"])
def test_a_payload_that_is_no_json_object_is_refused(session: Session, payload: bytes) -> None:
    refuse(session, resigned(session, "ES256", {}, payload))


def test_a_key_of_somebody_else_does_not_sign_for_us(session: Session) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    header = {"alg": "ES256", "kid": active(session, "ES256"), "typ": "JWT"}
    text = forged(
        header, b'{"sub":"1"}', lambda data: algorithms.ALGORITHMS["ES256"].sign(own, data)
    )
    assert refuse(session, text) == "wrong signature"
