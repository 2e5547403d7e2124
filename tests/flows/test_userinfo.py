"""The userinfo endpoint."""

from __future__ import annotations

from datetime import date

import pytest

from tests import protocol
from tests.protocol import IDENTITY_SCOPES, add_person, obtain, register

pytestmark = pytest.mark.no_database


def userinfo(client, token):
    answer = client.get("/connect/userinfo", headers=protocol.bearer(token))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def test_each_scope_releases_its_claims(client, session):
    app = register(session)
    user = add_person(
        session,
        email="ann@app.example",
        email_verified=True,
        mobile="+8613800138000",
        nick_name="Ann",
        gender="female",
        birthday=date(1990, 1, 2),
        address="1 Main Street",
        zoneinfo="Asia/Shanghai",
        locale="zh-CN",
        avatar="https://app.example/ann.png",
        family_name="Lee",
        website="https://ann.example",
    )
    protocol.sign_in(client, session, user)
    subject = {"sub": str(user.id)}
    profile = {
        "name": "Ann",
        "nickname": "Ann",
        "preferred_username": "ann",
        "gender": "female",
        "birthdate": "1990-01-02",
        "zoneinfo": "Asia/Shanghai",
        "locale": "zh-CN",
        "picture": "https://app.example/ann.png",
        "updated_at": int(user.updated_at.timestamp()),
        "family_name": "Lee",
        "website": "https://ann.example",
    }
    mail = {"email": "ann@app.example", "email_verified": True}
    phone = {"phone_number": "+8613800138000", "phone_number_verified": False}
    address = {"address": {"formatted": "1 Main Street"}}
    for scope, released in (
        ("openid", {}),
        ("openid profile", profile),
        ("openid email", mail),
        ("openid phone", phone),
        ("openid address", address),
        (" ".join(IDENTITY_SCOPES), profile | mail | phone | address),
    ):
        tokens = obtain(client, app, scope)
        assert userinfo(client, tokens.access) == subject | released, scope
        # OpenID Connect Core 5.4: with an access token at hand the ID token stays small.
        assert not (profile.keys() | mail.keys()) & tokens.identity.keys()


def test_the_token_comes_by_header_or_by_form(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    token = obtain(client, app).access
    for answer in (
        client.get("/connect/userinfo", headers=protocol.bearer(token)),
        client.get("/connect/userinfo", headers={"Authorization": f"bearer {token}"}),
        client.post("/connect/userinfo", headers=protocol.bearer(token)),
        client.post("/connect/userinfo", data={"access_token": token}),
    ):
        assert answer.status_code == 200
        assert answer.content_type == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
    for answer in (client.get("/connect/userinfo"), client.post("/connect/userinfo")):
        # RFC 6750 3.1: nobody tried, so no error is named.
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.put("/connect/userinfo").status_code == 405


def test_a_client_may_have_it_signed(client, session):
    for alg in ("RS256", "ES256"):
        app = register(session, alg, userinfo_signed_response_alg=alg)
        user = add_person(session, f"ann-{alg}")
        protocol.sign_in(client, session, user)
        token = obtain(client, app).access
        answer = client.get("/connect/userinfo", headers=protocol.bearer(token))
        assert answer.content_type == "application/jwt"
        text = answer.get_data(as_text=True)
        assert protocol.header(text)["alg"] == alg
        claims = protocol.payload(text)
        assert claims["iss"] == "http://127.0.0.1:8000"
        assert claims["aud"] == alg
        assert claims["sub"] == str(user.id)


def test_a_token_for_an_api_alone_does_not_open_it(client, session):
    # RFC 8707 2.2 and RFC 9068 4: what the API gets is not for the issuer.
    protocol.add_api(session)
    issuer = "http://127.0.0.1:8000"
    for kind in (0, 1):
        scopes = ("openid", "orders.read")
        app = register(session, f"web-{kind}", scopes=scopes, access_token_type=kind)
        user = add_person(session, f"ann-{kind}")
        protocol.sign_in(client, session, user)
        alone = obtain(client, app, "openid orders.read", resource="orders").access
        assert protocol.introspect(client, app, alone)["aud"] == "orders"
        for _ in range(2):
            answer = client.get("/connect/userinfo", headers=protocol.bearer(alone))
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        for resource in (None, issuer, ["orders", issuer]):
            token = obtain(client, app, "openid orders.read", resource=resource).access
            assert userinfo(client, token) == {"sub": str(user.id)}
        api_only = protocol.authorize(client, app, scope="orders.read", resource=issuer)
        assert protocol.returned(api_only)["error"] == "invalid_target"


def test_claims_may_be_asked_for_by_name(client, session):
    app = register(session)
    user = add_person(session, email="ann@app.example", nick_name="Ann")
    protocol.sign_in(client, session, user)
    wanted = '{"userinfo":{"email":{"essential":true},"role":null},"id_token":{"name":null}}'
    tokens = obtain(client, app, claims=wanted)
    assert userinfo(client, tokens.access) == {
        "sub": str(user.id),
        "email": "ann@app.example",
        "role": [],
    }
    assert tokens.identity["name"] == "Ann"
    assert "email" not in tokens.identity


def test_a_client_may_have_all_in_the_id_token(client, session):
    app = register(session, always_include_user_claims_in_id_token=True)
    protocol.sign_in(client, session, add_person(session, email="ann@app.example"))
    assert obtain(client, app, "openid email").identity["email"] == "ann@app.example"


def test_a_page_of_the_client_may_read_it_and_no_other(client, session):
    own, other = "https://app.example", "https://other.example"
    app = register(session, "spa", public=True, cors_origins=(own,))
    register(session, "second", public=True, cors_origins=(other,))
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(protocol.authorize(client, app))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
        "client_id": "spa",
    }
    answer = client.post("/connect/token", data=form, headers={"Origin": own})
    assert answer.headers["Access-Control-Allow-Origin"] == own
    assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    token = answer.get_json()["access_token"]
    for origin, allowed in ((own, own), (other, None), ("https://evil.example", None)):
        headers = {**protocol.bearer(token), "Origin": origin}
        answer = client.get("/connect/userinfo", headers=headers)
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed, origin
        preflight = client.options(
            "/connect/userinfo",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        expected = None if origin == "https://evil.example" else origin
        assert preflight.headers.get("Access-Control-Allow-Origin") == expected
        again = client.post("/connect/token", data=form, headers={"Origin": origin})
        assert again.headers.get("Access-Control-Allow-Origin") == allowed, origin
    discovery = client.get("/.well-known/openid-configuration", headers={"Origin": other})
    assert discovery.headers["Access-Control-Allow-Origin"] == "*"
