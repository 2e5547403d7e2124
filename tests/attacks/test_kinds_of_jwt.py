"""Every kind of JWT at every door: each is good at its own and nothing elsewhere (RFC 8725 3.11).

Row 59 of the attacks. What others sign carries all claims that any door asks for, so that nothing
but its kind can be the reason.
"""

from __future__ import annotations

import pytest

from idp.platform import clock
from tests import protocol
from tests.client_keys import ASSERTION_TYPE, ISSUER, ClientKey
from tests.protocol import add_person, register

pytestmark = pytest.mark.no_database

KEY = ClientKey()
OURS = ("access token", "id token", "userinfo", "introspection", "signed answer")
THEIRS = {
    "request object": "oauth-authz-req+jwt",
    "assertion": "client-authentication+jwt",
    "proof": "dpop+jwt",
    "access token of theirs": "at+jwt",
    "logout token": "logout+jwt",
}


@pytest.fixture
def world(client, session):
    """A client that is given every kind of JWT, and a person who is signed in."""
    app = register(
        session,
        jwks=KEY.jwks,
        token_endpoint_auth_method="private_key_jwt",
        userinfo_signed_response_alg="ES256",
        authorization_signed_response_alg="ES256",
    )
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(protocol.authorize(client, app))
    tokens = protocol.redeem(client, app, code, **KEY.assertion(app)).get_json()
    bearer = protocol.bearer(tokens["access_token"])
    introspected = client.post(
        "/connect/introspect",
        data={"token": tokens["access_token"], **KEY.assertion(app)},
        headers={"Accept": "application/token-introspection+jwt"},
    )
    answer = protocol.returned(protocol.authorize(client, app, response_mode="jwt"))
    ours = {
        "access token": tokens["access_token"],
        "id token": tokens["id_token"],
        "userinfo": client.get("/connect/userinfo", headers=bearer).get_data(as_text=True),
        "introspection": introspected.get_data(as_text=True),
        "signed answer": answer["response"],
    }
    return app, ours | {kind: theirs(app, kind, typ) for kind, typ in THEIRS.items()}


def theirs(app, kind, typ):
    """Sign what would be good at every door but for its kind."""
    now = clock.timestamp()
    claims = {
        **protocol.authorization_parameters(app),
        "iss": app.client_id,
        "sub": app.client_id,
        "aud": ISSUER,
        "jti": f"{kind}-{now}",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "htm": "POST",
        "htu": ISSUER + "/connect/token",
    }
    if kind == "request object":
        del claims["sub"]  # by which it would say that it is an assertion
    return KEY.sign(claims, typ=typ)


def userinfo(client, _app, token):
    return client.get("/connect/userinfo", headers=protocol.bearer(token)).status_code == 200


def introspection(client, app, token):
    form = {"token": token, **KEY.assertion(app)}
    return client.post("/connect/introspect", data=form).get_json()["active"]


def hint(client, app, token):
    fields = protocol.returned(protocol.authorize(client, app, id_token_hint=token))
    return fields.get("error") != "invalid_request"


def logout(client, _app, token):
    # It is asked without the session, so that nothing is ended.
    answer = client.get("/connect/endsession", query_string={"id_token_hint": token})
    return answer.status_code != 400


def signed_request(client, app, token):
    query = {"client_id": app.client_id, "request": token}
    return client.get("/connect/authorize", query_string=query).status_code == 303


def push(client, app, token):
    form = {"request": token, **KEY.assertion(app)}
    return client.post("/connect/par", data=form).status_code == 201


def assertion(client, _app, token):
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": token, "token": "x"}
    return client.post("/connect/revocation", data=form).status_code == 200


def refresh(client, app, token):
    form = {"grant_type": "refresh_token", "refresh_token": token, **KEY.assertion(app)}
    return client.post("/connect/token", data=form).status_code == 200


def code(client, app, token):
    return protocol.redeem(client, app, token, **KEY.assertion(app)).status_code == 200


DOORS = {
    userinfo: {"access token"},
    introspection: {"access token"},
    hint: {"id token"},
    signed_request: {"request object"},
    push: {"request object"},
    assertion: {"assertion"},
    refresh: set(),
    code: set(),
    logout: {"id token"},
}


def test_each_kind_of_jwt_is_good_at_its_own_doors_only(client, world):
    app, tokens = world
    assert set(tokens) == {*OURS, *THEIRS}
    for door, good in DOORS.items():
        found = {kind for kind, token in tokens.items() if door(client, app, token)}
        assert found == good, door.__name__


def test_kinds_that_we_sign_have_types_of_their_own(world):
    _, tokens = world
    types = {kind: protocol.header(tokens[kind])["typ"] for kind in OURS}
    assert types == {
        "access token": "at+jwt",
        "id token": "JWT",
        "userinfo": "JWT",
        "introspection": "token-introspection+jwt",
        "signed answer": "oauth-authz-resp+jwt",
    }
    # Of the two that share one, userinfo never expires, so it is no hint.
    assert "exp" not in protocol.payload(tokens["userinfo"])
