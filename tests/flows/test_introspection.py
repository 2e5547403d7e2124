"""The introspection endpoint (RFC 7662, RFC 9701)."""

from __future__ import annotations

import pytest

from idp.directory.resources import service as resources
from tests import protocol
from tests.protocol import (
    App,
    add_api,
    add_person,
    introspect,
    machine_token,
    obtain,
    register,
    register_machine,
)

SIGNED = {"Accept": "application/token-introspection+jwt"}


def add_caller(session, name="orders", scopes=("orders.read",), **settings):
    api = add_api(session, name, scopes, **settings)
    secret = resources.add_secret(session, api)
    session.commit()
    return api, App(name, secret, api.id)


def test_an_api_and_the_client_learn_what_a_token_is_worth(client, session):
    api, orders = add_caller(session)
    web = register(session, scopes=("openid", "orders.read"))
    opaque = register(session, "opaque", scopes=("openid", "orders.read"), access_token_type=1)
    user = add_person(session)
    protocol.add_role(session, user, "clerk", ["orders.approve"], api=api)
    protocol.sign_in(client, session, user)
    for app in (web, opaque):
        tokens = obtain(client, app, "openid orders.read")
        for caller in (orders, app):
            content = introspect(client, caller, tokens.access)
            assert content["active"] is True
            assert content["token_type"] == "Bearer"
            assert content["sub"] == str(user.id)
            assert content["username"] == "ann"
            assert content["client_id"] == app.client_id
            assert content["scope"] == "openid orders.read"
            assert content["aud"] == ["orders", "http://127.0.0.1:8000"]
            assert content["role"] == ["clerk"]
            assert content["permission"] == ["orders.approve"]
            assert content["tenant"] == {"id": 1, "name": "idp"}
            assert content["exp"] > content["iat"]


@pytest.mark.no_database
def test_credentials_may_come_in_the_header(client, session):
    _, orders = add_caller(session)
    app = register_machine(session, scopes=["orders.read"])
    token = machine_token(client, app).get_json()["access_token"]
    answer = client.post("/connect/introspect", data={"token": token}, headers=orders.basic)
    assert answer.get_json()["sub"] == "machine"
    assert answer.headers["Cache-Control"] == "no-store"
    hinted = {"token": token, "token_type_hint": "refresh_token", **app.post}
    assert client.post("/connect/introspect", data=hinted).get_json()["active"]
    assert client.post("/connect/introspect", data=app.post).status_code == 400


def test_a_refresh_token_is_described_to_its_client(client, session, clock):
    app = register(session)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    tokens = obtain(client, app, "openid offline_access")
    content = introspect(client, app, tokens.refresh)
    assert content["active"] is True
    assert content["sub"] == str(user.id)
    assert content["client_id"] == "web"
    assert content["scope"] == "openid offline_access"
    assert content["exp"] - content["iat"] == 2_592_000
    protocol.refresh(client, app, tokens.refresh)
    assert introspect(client, app, tokens.refresh) == {"active": False}


@pytest.mark.no_database
def test_the_answer_may_be_signed(client, session):
    # RFC 9701
    _, orders = add_caller(session)
    app = register_machine(
        session, scopes=["orders.read"], introspection_signed_response_alg="ES256"
    )
    token = machine_token(client, app).get_json()["access_token"]
    for caller, alg in ((orders, "RS256"), (app, "ES256")):
        for shown, active in ((token, True), ("nonsense", False)):
            form = {"token": shown, **caller.post}
            answer = client.post("/connect/introspect", data=form, headers=SIGNED)
            assert answer.content_type == "application/token-introspection+jwt"
            text = answer.get_data(as_text=True)
            assert protocol.header(text)["typ"] == "token-introspection+jwt"
            assert protocol.header(text)["alg"] == alg
            claims = protocol.payload(text)
            assert claims["iss"] == "http://127.0.0.1:8000"
            assert claims["aud"] == caller.client_id
            # RFC 9701 8.1: nothing at the top that could pass for an access token.
            assert claims.keys() == {"iss", "aud", "iat", "token_introspection"}
            assert claims["token_introspection"]["active"] is active
            if not active:
                assert claims["token_introspection"] == {"active": False}


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("accept", "is_signed"),
    [
        ("application/token-introspection+jwt, application/json;q=0.9", True),
        ("Application/Token-Introspection+JWT;q=0.5, */*;q=0.1", True),
        ("application/token-introspection+jwt, */*", True),
        ("application/json, application/token-introspection+jwt;q=0.5", False),
        ("application/token-introspection+jwt;q=0", False),
        ("application/token-introspection+jwt;q=0, */*", False),
        ("application/x-application/token-introspection+jwt", False),
        ("application/token-introspection+jwt-of-mine", False),
        ("*/*", False),
        ("application/token-introspection+jwt" + "," * 5000, False),
    ],
)
def test_a_signed_answer_is_given_to_those_who_prefer_it(client, session, accept, is_signed):
    # RFC 9110 12.5.1
    _, orders = add_caller(session)
    form = {"token": "nonsense", **orders.post}
    answer = client.post("/connect/introspect", data=form, headers={"Accept": accept})
    assert answer.status_code == 200
    kind = "application/token-introspection+jwt" if is_signed else "application/json"
    assert answer.content_type == kind


def test_permissions_too_many_for_a_token_are_delivered_here(client, session):
    api, orders = add_caller(session)
    app = register(session, scopes=("openid", "orders.read"))
    user = add_person(session)
    codes = [f"orders.permission-number-{number:04}" for number in range(2000)]
    protocol.add_role(session, user, "clerk", codes, api=api)
    protocol.sign_in(client, session, user)
    tokens = obtain(client, app, "openid orders.read")
    assert tokens.claims["permission_ref"] is True
    assert "permission" not in tokens.claims
    assert len(tokens.access) < 3000
    content = introspect(client, orders, tokens.access)
    assert content["permission"] == codes
    assert "permission_ref" not in content


def test_a_client_that_lost_all_its_scopes_breaks_nothing(client, session):
    from idp.directory.clients import service as clients

    api, orders = add_caller(session)
    app = register(session, scopes=("openid", "orders.read"))
    user = add_person(session)
    codes = [f"orders.permission-number-{number:04}" for number in range(200)]
    protocol.add_role(session, user, "clerk", codes, api=api)
    protocol.sign_in(client, session, user)
    tokens = obtain(client, app, "openid orders.read")
    assert tokens.claims["permission_ref"] is True
    clients.set_scopes(session, clients.get(session, "web"), [])
    session.commit()
    content = introspect(client, orders, tokens.access)
    assert content["active"] is True
    assert content["permission"] == []
    answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
    assert answer.get_json() == {"sub": str(user.id)}
