"""Good tokens shown in the wrong place."""

from __future__ import annotations

import pytest
from flask import Blueprint, jsonify

from idp.platform.web import csrf
from idp.platform.web.principal import current_principal, require_scope
from tests import protocol
from tests.protocol import (
    add_api,
    add_person,
    add_role,
    add_tenant,
    authorize,
    obtain,
    redeem,
    refresh,
    register,
    register_machine,
)

HOST = "b.example:8000"


@pytest.fixture
def gated(app):
    """An operation behind the gate of management operations."""
    blueprint = Blueprint("gated", __name__)

    @blueprint.get("/gated")
    @require_scope("ids4.ms.us.all")
    def gated():
        return jsonify(user=current_principal().user_id)

    @blueprint.get("/permitted")
    @require_scope("ids4.ms.us.all", "ids4.ms.us.account.get")
    def permitted():
        return jsonify(user=current_principal().user_id)

    csrf.exempt(app, blueprint)
    app.register_blueprint(blueprint)


def test_what_issuer_a_gave_is_nothing_at_issuer_b(client, session, new_client):
    # Row 23: token, code, refresh token, session, request under way.
    add_tenant(session, "B", [HOST])
    other = new_client(f"http://{HOST}")
    app = register(session)
    protocol.sign_in(client, session, add_person(session, tenant_ids=(1, 2)))
    tokens = obtain(client, app, "openid offline_access")
    assert other.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).status_code == 401
    assert protocol.introspect(other, app, tokens.access) == {"active": False}
    assert protocol.introspect(other, app, tokens.refresh) == {"active": False}
    assert refresh(other, app, tokens.refresh).get_json()["error"] == "invalid_grant"
    code = protocol.code_of(authorize(client, app))
    assert redeem(other, app, code).get_json()["error"] == "invalid_grant"
    assert redeem(client, app, code).status_code == 200

    cookie = client.get_cookie("idp_1", domain="127.0.0.1")
    for name in ("idp_1", "idp_2"):
        other.set_cookie(name, cookie.value, domain="b.example")
    assert authorize(other, app).location.startswith("/login?")
    kept = authorize(client, app, prompt="login").location.partition("=")[2]
    for path in ("/connect/authorize", "/connect/endsession"):
        assert other.get(path, query_string={"continue": kept}).status_code == 400
    hinted = authorize(other, app, id_token_hint=tokens.body["id_token"], prompt="none")
    assert protocol.returned(hinted)["error"] == "invalid_request"
    logout = other.get(
        "/connect/endsession", query_string={"id_token_hint": tokens.body["id_token"]}
    )
    assert logout.status_code == 400
    # Nothing of that harmed the originals.
    assert protocol.is_active(client, app, tokens.access)
    assert refresh(client, app, tokens.refresh).status_code == 200


def test_an_assertion_for_issuer_a_is_nothing_at_issuer_b(client, session, new_client):
    from tests.attacks import forging

    add_tenant(session, "B", [HOST])
    other = new_client(f"http://{HOST}")
    add_api(session)
    key = forging.new_rsa()
    register_machine(
        session,
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [forging.rsa_jwk(key, kid="a")]},
    )
    for audience, browser in (
        ("http://127.0.0.1:8000", other),
        ("http://127.0.0.1:8000/connect/token", other),
        (f"http://{HOST}", client),
    ):
        claims = forging.assertion_claims("machine", audience, jti=audience)
        assertion = forging.by_rsa({"alg": "RS256", "kid": "a"}, claims, key)
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        assert browser.post("/connect/token", data=form).status_code == 401
        assert (other if browser is client else client).post(
            "/connect/token", data=form
        ).status_code == 200


@pytest.mark.no_database
def test_one_kind_of_token_is_not_another(client, session):
    app = register(session, userinfo_signed_response_alg="RS256")
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, app, "openid offline_access")
    signed = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
    userinfo = signed.get_data(as_text=True)
    introspection = client.post(
        "/connect/introspect",
        data={"token": tokens.access, **app.post},
        headers={"Accept": "application/token-introspection+jwt"},
    ).get_data(as_text=True)
    identity = str(tokens.body["id_token"])
    for token in (identity, userinfo, introspection, tokens.refresh):
        assert client.get("/connect/userinfo", headers=protocol.bearer(token)).status_code == 401
    for token in (tokens.access, userinfo, introspection, tokens.refresh):
        hinted = authorize(client, app, id_token_hint=token, prompt="none")
        assert protocol.returned(hinted)["error"] == "invalid_request"
        logout = client.get("/connect/endsession", query_string={"id_token_hint": token})
        assert logout.status_code == 400
    for token in (tokens.access, identity):
        assert refresh(client, app, token).get_json()["error"] == "invalid_grant"


def test_the_gate_takes_access_tokens_for_its_own_audience_only(client, session, gated):
    add_api(session)
    app = register(session, scopes=("openid", "orders.read", "ids4.ms.us.all"))
    user = add_person(session)
    protocol.sign_in(client, session, user)
    tokens = obtain(client, app, "openid ids4.ms.us.all")
    elsewhere = obtain(client, app, "openid orders.read")
    both = obtain(client, app, "openid orders.read ids4.ms.us.all", resource="orders")

    def call(token):
        return client.get("/gated", headers=protocol.bearer(token))

    assert call(tokens.access).get_json() == {"user": user.id}
    for token in (elsewhere.access, both.access, str(tokens.body["id_token"])):
        assert call(token).status_code == 401
    assert client.get("/gated").status_code == 401
    assert "error=" not in client.get("/gated").headers["WWW-Authenticate"]
    cookie_only = client.get("/gated", headers={"Cookie": "idp_1=x"})
    assert cookie_only.status_code == 401
    assert client.get("/gated", query_string={"access_token": tokens.access}).status_code == 401


def test_names_that_somebody_chose_open_no_gate(client, session, gated):
    # `P.all` covers what starts with `P.`, so `ids4.all` would cover the whole management API.
    evil = add_api(session, "evil", ["ids4.all", "ids4.ms.us.sub.all"])
    scopes = ("ids4.ms.file.all", "ids4.all", "ids4.ms.us.sub.all")
    own = register(session, "own", scopes=scopes)
    good = register(session, scopes=("ids4.ms.us.all",))
    user = add_person(session)
    protocol.sign_in(client, session, user)
    token = obtain(client, own, " ".join(scopes)).access
    assert set(protocol.payload(token)["aud"]) == {"evil", "ids4.ms"}
    assert client.get("/gated", headers=protocol.bearer(token)).status_code == 403

    token = obtain(client, good, "ids4.ms.us.all").access
    add_role(session, user, "evil", ["ids4.all", "ids4.ms.us.account.get.all"], api=evil)
    add_role(session, user, "free", ["ids4.ms.us.accounts.all"])
    assert client.get("/permitted", headers=protocol.bearer(token)).status_code == 403
    add_role(session, user, "real", ["ids4.ms.us.account.all"])
    assert client.get("/permitted", headers=protocol.bearer(token)).status_code == 200


@pytest.mark.no_database
def test_a_machine_is_nobody_to_userinfo(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    answer = client.get("/connect/userinfo", headers=protocol.bearer(token))
    assert answer.status_code == 403
    assert answer.get_json()["error"] == "insufficient_scope"
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


@pytest.mark.no_database
def test_a_token_without_openid_is_nothing_to_userinfo(client, session):
    add_api(session)
    app = register(session, scopes=("openid", "profile", "orders.read"))
    protocol.sign_in(client, session, add_person(session))
    token = obtain(client, app, "profile orders.read").access
    answer = client.get("/connect/userinfo", headers=protocol.bearer(token))
    assert answer.status_code == 403
