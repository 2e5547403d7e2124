"""Signed authorization responses (JARM)."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from idp.platform import clock as time_of
from tests import protocol
from tests.attacks import forms
from tests.protocol import CALLBACK, add_person, authorize, register

ISSUER = "http://127.0.0.1:8000"


@pytest.fixture
def scene(client, session):
    app = register(session, authorization_signed_response_alg="ES256")
    protocol.sign_in(client, session, add_person(session))
    return app


def response_of(answer):
    """Return the one field that an answer sends."""
    assert answer.status_code in {200, 303}, answer.get_data(as_text=True)
    if answer.status_code == 200:
        page = answer.get_data(as_text=True)
        assert re.findall(r'<input[^>]*name="([^"]+)"', page) == ["response"]
        return re.search(r'name="response"\s+value="([^"]+)"', page)[1]
    parts = urlsplit(answer.location)
    fields = parse_qs(parts.fragment or parts.query)
    # JARM 2.3: nothing else stands beside it.
    assert fields.keys() == {"response"}
    return fields["response"][0]


def verified(client, app, answer, alg="ES256"):
    """Check a signed answer as a client does, and return what it says."""
    token = response_of(answer)
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"]) == (alg, "oauth-authz-resp+jwt")
    keys = client.get("/.well-known/openid-configuration/jwks").get_json()["keys"]
    (key,) = [key for key in keys if key["kid"] == header["kid"]]
    claims = jwt.decode(
        token,
        jwt.PyJWK(key),
        algorithms=[alg],
        audience=app.client_id,
        issuer=ISSUER,
        options={"require": ["iss", "aud", "exp"]},
    )
    assert 0 < claims["exp"] - time_of.timestamp() <= 600
    return {name: value for name, value in claims.items() if name not in {"iss", "aud", "exp"}}


@pytest.mark.parametrize(
    ("mode", "place"),
    [("jwt", "?"), ("query.jwt", "?"), ("fragment.jwt", "#"), ("form_post.jwt", "")],
)
def test_a_code_comes_signed_in_each_mode(client, scene, mode, place):
    answer = authorize(client, scene, response_mode=mode)
    if place:
        assert answer.location.startswith(f"{CALLBACK}{place}response=")
    said = verified(client, scene, answer)
    assert said.keys() == {"code", "state"}
    assert said["state"] == "the-state"
    assert protocol.redeem(client, scene, said["code"]).status_code == 200


@pytest.mark.parametrize("mode", ["jwt", "query.jwt", "fragment.jwt", "form_post.jwt"])
def test_a_refusal_comes_signed_too(client, scene, mode):
    answer = authorize(client, scene, response_mode=mode, scope="ids4.ms.all", state=None)
    assert verified(client, scene, answer).keys() == {"error", "error_description"}


def test_plain_answers_stay_plain(client, scene):
    fields = protocol.returned(authorize(client, scene))
    assert fields.keys() == {"code", "state", "iss"}


def test_a_mode_that_the_client_may_not_have_is_refused_in_the_open(client, session, scene):
    plain = register(session, "plain")
    for mode in ("jwt", "form_post.jwt"):
        fields = protocol.returned(authorize(client, plain, response_mode=mode))
        assert (fields["error"], fields["iss"]) == ("invalid_request", ISSUER)
    only = register(session, "only", response_modes="jwt fragment")
    assert verified(client, only, authorize(client, only, response_mode="query.jwt"), "RS256")
    assert protocol.code_of(authorize(client, only, response_mode="fragment"))
    for mode in (None, "query", "form_post", "fragment.jwt"):
        fields = protocol.returned(authorize(client, only, response_mode=mode))
        assert fields["error"] == "invalid_request", mode


def test_a_page_between_keeps_the_mode(client, session, scene):
    app = register(session, "asking", require_consent=True, response_modes="form_post.jwt")
    asked = authorize(client, app, response_mode="form_post.jwt")
    assert asked.location.startswith("/consent?request=")
    allowed = forms.allow(client, asked.location)
    said = verified(client, app, client.get(allowed.location), "RS256")
    assert said.keys() == {"code", "state"}


def test_no_signed_answer_is_an_id_token(client, scene):
    signed = response_of(authorize(client, scene, response_mode="jwt"))
    fields = protocol.returned(authorize(client, scene, id_token_hint=signed))
    assert fields["error"] == "invalid_request"
    logout = client.get("/connect/endsession", query_string={"id_token_hint": signed})
    assert logout.status_code == 400
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(signed))
    assert userinfo.status_code == 401


def test_discovery_names_modes_and_algorithms(client):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    modes = metadata["response_modes_supported"]
    assert {"jwt", "query.jwt", "fragment.jwt", "form_post.jwt"} < set(modes)
    assert "ES256" in metadata["authorization_signing_alg_values_supported"]
