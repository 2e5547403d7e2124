"""Tokens that we never signed, wherever one can be shown."""

from __future__ import annotations

import json
import time
import zlib

import pytest
from joserfc import jwe
from joserfc.errors import SecurityWarning
from joserfc.jwk import OctKey, RSAKey

from tests import protocol
from tests.attacks import forging
from tests.protocol import AFTER_LOGOUT, add_person, authorize, obtain, register

pytestmark = pytest.mark.no_database


@pytest.fixture
def scene(client, session):
    """A good token, and everything that a forger can know."""
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    return app, obtain(client, app)


def is_refused_everywhere(client, app, token):
    """Show a token at every place that reads one of ours."""
    assert protocol.introspect(client, app, token) == {"active": False}, token[:200]
    for answer in (
        client.get("/connect/userinfo", headers=protocol.bearer(token)),
        client.post("/connect/userinfo", data={"access_token": token}),
    ):
        assert answer.status_code == 401, token[:200]
        assert answer.get_json()["error"] == "invalid_token"
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def is_refused_as_hint(client, app, token):
    fields = protocol.returned(authorize(client, app, id_token_hint=token, prompt="none"))
    assert fields["error"] == "invalid_request"
    logout = client.get(
        "/connect/endsession",
        query_string={"id_token_hint": token, "post_logout_redirect_uri": AFTER_LOGOUT},
    )
    assert logout.status_code == 400
    assert "Location" not in logout.headers


def test_an_unsigned_token_is_refused(client, scene):
    # Row 20: alg none in every spelling.
    app, tokens = scene
    for alg in ("none", "None", "NONE", "nOnE", "", None, [], 0):
        head = {**protocol.header(tokens.access), "alg": alg}
        is_refused_everywhere(client, app, forging.unsigned(head, tokens.claims))
        is_refused_everywhere(client, app, forging.unsigned(head, tokens.claims) + "AA")
    bare = {"alg": "none", "typ": "at+jwt"}
    is_refused_everywhere(client, app, forging.unsigned(bare, tokens.claims))
    hint = forging.unsigned({"alg": "none", "typ": "JWT"}, tokens.identity)
    is_refused_as_hint(client, app, hint)
    is_refused_as_hint(client, app, hint + "AA")


def test_the_public_key_is_no_shared_secret(client, scene):
    # Row 20, CVE-2024-37568 and CVE-2026-28802: HS256 with what everybody can read as the secret.
    app, tokens = scene
    keys = client.get("/.well-known/openid-configuration/jwks").get_json()["keys"]
    kid = protocol.header(tokens.access)["kid"]
    [jwk] = [jwk for jwk in keys if jwk["kid"] == kid]
    key = RSAKey.import_key(jwk)
    secrets = (
        key.as_pem(private=False),
        key.as_pem(private=False).strip(),
        key.as_der(private=False),
        json.dumps(jwk).encode(),
        json.dumps(jwk, separators=(",", ":")).encode(),
        jwk["n"].encode(),
        kid.encode(),
        b"",
        str(app.secret).encode(),
    )
    for secret in secrets:
        for head in (
            {**protocol.header(tokens.access), "alg": "HS256"},
            {"alg": "HS256", "typ": "at+jwt"},
        ):
            token = forging.by_shared_secret(head, tokens.claims, secret)
            is_refused_everywhere(client, app, token)
        head = {**protocol.header(tokens.access), "alg": "HS256", "typ": "JWT"}
        is_refused_as_hint(client, app, forging.by_shared_secret(head, tokens.identity, secret))


def test_a_key_that_the_token_brings_along_is_not_used(client, scene):
    # Row 21, CVE-2026-27962.
    app, tokens = scene
    key = forging.new_rsa()
    own = forging.rsa_jwk(key, kid="mine", alg="RS256", use="sig")
    kid = protocol.header(tokens.access)["kid"]
    for extra in (
        {},
        {"jwk": own},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
        {"x5t": "AAAA"},
    ):
        for name in (kid, "mine", None, "../../../dev/null", "' OR 1=1 --", ["a"], {"a": 1}):
            head = {"alg": "RS256", "typ": "at+jwt", "kid": name, **extra}
            is_refused_everywhere(client, app, forging.by_rsa(head, tokens.claims, key))
    head = {"alg": "RS256", "typ": "JWT", "kid": kid, "jwk": own}
    is_refused_as_hint(client, app, forging.by_rsa(head, tokens.identity, key))


def test_what_the_header_says_besides_is_refused(client, scene):
    # Row 21, CVE-2025-59420: `crit` that nobody understands; another algorithm than the key's.
    app, tokens = scene
    for members in (
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"zip": "DEF"},
        {"alg": "PS256"},
        {"alg": "RS512"},
        {"alg": "ES256"},
        {"alg": "EdDSA"},
        {"typ": "JWT"},
        {"typ": None},
        {"kid": None},
    ):
        is_refused_everywhere(client, app, forging.with_header(tokens.access, **members))
    for claims in ({"exp": 9_999_999_999}, {"sub": "1"}, {"scope": "openid ids4.ms.all"}):
        is_refused_everywhere(client, app, forging.with_claims(tokens.access, **claims))


def test_a_key_of_ours_signs_by_its_own_algorithm_only(client, session, scene):
    # All of our keys are published; a token of one key under the name of another is refused.
    _app, tokens = scene
    own_key = register(session, "es", id_token_signed_response_alg="ES256")
    es_token = str(obtain(client, own_key).body["id_token"])
    assert protocol.header(es_token)["alg"] == "ES256"
    rs_kid = protocol.header(tokens.access)["kid"]
    for head in ({"kid": rs_kid}, {"kid": rs_kid, "alg": "RS256"}, {"alg": "RS256"}):
        is_refused_as_hint(client, own_key, forging.with_header(es_token, **head))


def test_large_and_encrypted_tokens_are_refused_quickly(client, scene):
    # Row 22, CVE-2025-61920 and CVE-2026-28490: nothing is decoded that could be large.
    app, tokens = scene
    head, body, signature = tokens.access.split(".")
    key = OctKey.generate_key(256)
    bomb = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}, b"0" * 200_000, key)
    rsa = RSAKey.import_key(forging.rsa_jwk(forging.new_rsa()))
    allowed = ["RSA1_5", "A128CBC-HS256"]
    with pytest.warns(SecurityWarning):
        old = jwe.encrypt_compact(
            {"alg": "RSA1_5", "enc": "A128CBC-HS256"}, b"{}", rsa, algorithms=allowed
        )
    deep = forging.encode(b'{"a":' * 500)
    deflated = forging.encode(zlib.compress(b"0" * 10_000_000))
    started = time.perf_counter()
    for token in (
        "A" * 900_000,
        "." * 900_000,
        f"{head}.{'A' * 900_000}.{signature}",
        f"{'A' * 900_000}.{body}.{signature}",
        f"{head}.{body}.{'A' * 900_000}",
        f"{head}.{deflated}.{signature}",
        f"{forging.encode(b'[' * 3000)}.{body}.{signature}",
        f"{deep}.{body}.{signature}",
        bomb,
        old,
        f"{head}.{body}.{signature}.{signature}.{signature}",
    ):
        assert protocol.introspect(client, app, token) == {"active": False}
        answer = client.post("/connect/userinfo", data={"access_token": token})
        assert answer.status_code == 401
    assert time.perf_counter() - started < 5


def test_malformed_tokens_break_nothing(client, scene):
    app, tokens = scene
    head, body, signature = tokens.access.split(".")
    no_text = forging.encode(b"\xff\xfe")
    for token in (
        "",
        "..",
        f"{head}..{signature}",
        f"{head}.{body}",
        f"{head}.{body}.",
        f".{body}.{signature}",
        f"{head}.{body}.{signature}.",
        f"{forging.encode(b'[]')}.{body}.{signature}",
        f"{forging.encode(b'null')}.{body}.{signature}",
        f"{no_text}.{body}.{signature}",
        f"{head}.{forging.encode(b'null')}.{signature}",
        f"{head}=.{body}.{signature}",
        f"{head}.{body}\n.{signature}",
        f"{head}.{body}.{signature}%",
    ):
        shown = client.post("/connect/userinfo", data={"access_token": token})
        assert shown.status_code == 401, token
        answer = client.post("/connect/introspect", data={"token": token, **app.post})
        assert answer.status_code == (200 if token else 400), token
    for value in ("Bearer", "Bearer ", "bearer", "Basic x", "Bearer a b", "MAC x", "Bearer\xa0x"):
        answer = client.get("/connect/userinfo", headers={"Authorization": value})
        # A header that is not ASCII cannot be read, and is refused before anybody looks at it.
        assert answer.status_code == (401 if value.isascii() else 400), value
