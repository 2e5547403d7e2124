"""Signed authorization requests (RFC 9101)."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select

from idp.oauth.models import AuthorizationCode, AuthorizationRequest
from idp.platform import clock as time_of
from tests import protocol
from tests.attacks import forging
from tests.client_keys import ISSUER, ClientKey
from tests.protocol import CALLBACK, CHALLENGE, add_api, add_person, register

KEY = ClientKey()
OTHER = ClientKey(kid="other")


@pytest.fixture
def web(session):
    return register(session, jwks=KEY.jwks)


@pytest.fixture
def signed_in(client, session):
    user = add_person(session)
    protocol.sign_in(client, session, user)
    return user


def ask(client, app, text, **outside):
    """Send a request object to the authorization endpoint; None leaves a parameter out."""
    query = {"client_id": app.client_id, "request": text, **outside}
    return client.get(
        "/connect/authorize",
        query_string={name: value for name, value in query.items() if value is not None},
    )


def push(client, app, text, **outside):
    return client.post("/connect/par", data={**app.post, "request": text, **outside})


def signed(app, **changes):
    """Sign a complete request."""
    return KEY.request(app, protocol.authorization_parameters(app), **changes)


def is_refused(answer):
    """Check that a page tells of an invalid request, and nothing was sent anywhere."""
    assert answer.status_code == 400, answer.get_data(as_text=True)
    assert "Location" not in answer.headers
    return True


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_signed_request_leads_to_a_code(client, session, signed_in, alg):
    key = ClientKey(alg)
    app = register(session, jwks=key.jwks)
    text = key.request(app, protocol.authorization_parameters(app, scope="openid email"))
    fields = protocol.returned(ask(client, app, text))
    assert fields["state"] == "the-state"
    tokens = protocol.redeem(client, app, fields["code"]).get_json()
    assert tokens["scope"] == "openid email"
    assert protocol.payload(tokens["id_token"])["nonce"] == "the-nonce"


def test_nothing_counts_but_what_is_inside(client, web, signed_in):
    # RFC 9101 6.3
    outside = {
        "scope": "openid email",
        "state": "outside",
        "nonce": "outside",
        "redirect_uri": "https://evil.example/",
        "response_mode": "fragment",
        "prompt": "login",
    }
    fields = protocol.returned(ask(client, web, signed(web), **outside))
    assert fields["state"] == "the-state"
    tokens = protocol.redeem(client, web, fields["code"]).get_json()
    assert tokens["scope"] == "openid"
    assert protocol.payload(tokens["id_token"])["nonce"] == "the-nonce"
    # A state that stands outside only is not used.
    assert "state" not in protocol.returned(ask(client, web, signed(web, state=None), **outside))


def test_the_address_and_the_mode_are_those_inside(client, web, signed_in):
    answer = ask(client, web, signed(web, response_mode="fragment"), redirect_uri=CALLBACK)
    assert answer.location.startswith(CALLBACK + "#code=")
    page = ask(client, web, signed(web, response_mode="form_post"))
    assert 'name="code"' in page.get_data(as_text=True)
    refused = ask(client, web, signed(web, scope="ids4.ms.all", response_mode="fragment"))
    assert protocol.returned(refused)["error"] == "invalid_scope"
    for missing in ({"redirect_uri": None}, {"redirect_uri": "https://evil.example/"}):
        assert is_refused(ask(client, web, signed(web, **missing), redirect_uri=CALLBACK))


def test_values_may_be_written_as_json(client, session, web, signed_in):
    add_api(session, "https://orders.example", ["orders.read"])
    add_api(session, "https://stock.example", ["stock.read"])
    wide = register(session, "wide", jwks=KEY.jwks, scopes=("openid", "orders.read", "stock.read"))
    text = KEY.request(
        wide,
        protocol.authorization_parameters(wide, scope="openid orders.read stock.read"),
        resource=["https://orders.example", "https://stock.example"],
        max_age=1000,
        claims={"id_token": {"email": None}},
        login_hint=None,
        prompt="",
        acr_values="",
        unknown={"any": "thing"},
    )
    code = protocol.code_of(ask(client, wide, text))
    tokens = protocol.redeem(client, wide, code).get_json()
    assert protocol.payload(tokens["access_token"])["aud"] == [
        "https://orders.example",
        "https://stock.example",
    ]
    text = signed(web, claims=json.dumps({"id_token": {"email": None}}))
    assert protocol.code_of(ask(client, web, text))
    for odd in (True, 1.5, ["a"], {"a": "b"}):
        assert is_refused(ask(client, web, signed(web, state=odd))), odd


def test_times_are_honoured(client, web, signed_in):
    now = time_of.timestamp()
    for good in (
        {"exp": None, "nbf": None, "iat": None},
        {"exp": now - 5},
        {"nbf": now + 8, "iat": now + 8},
        {"exp": now + 10**6, "nbf": now - 10**6},
    ):
        assert protocol.code_of(ask(client, web, signed(web, **good))), good
    for bad in (
        {"exp": now - 60},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": now + 60},
        {"iat": now + 60},
        {"nbf": "now"},
    ):
        assert is_refused(ask(client, web, signed(web, **bad))), bad


def bad_requests(app):
    """Yield request objects that are no good, and why."""
    parameters = protocol.authorization_parameters(app)
    good = KEY.request(app, parameters)
    head, payload, _ = good.split(".")
    claims = protocol.payload(good)
    yield "foreign key", OTHER.request(app, parameters)
    yield "foreign key with our kid", ClientKey().request(app, parameters)
    yield "unknown kid", KEY.sign(claims, kid="nobody")
    yield "unsigned", forging.unsigned({"alg": "none"}, claims)
    yield "no signature", f"{head}.{payload}."
    yield "changed", forging.with_claims(good, scope="openid email")
    yield "five parts", f"{good}.{head}.{payload}"
    yield "shared secret", forging.by_shared_secret({"alg": "HS256"}, claims, b"x" * 32)
    yield "key inside", KEY.sign(claims, jwk=KEY.jwks["keys"][0])
    yield "crit", KEY.sign(claims, crit=["kid"])
    yield "typ of an assertion", KEY.sign(claims, typ="client-authentication+jwt")
    yield "typ of an access token", KEY.sign(claims, typ="at+jwt")
    yield "typ of a proof", KEY.sign(claims, typ="dpop+jwt")
    yield "client_id of another", KEY.request(app, parameters, client_id="other")
    yield "no client_id", KEY.request(app, parameters, client_id=None)
    yield "issuer is another", KEY.request(app, parameters, iss="other")
    yield "subject is the client", KEY.request(app, parameters, sub=app.client_id)
    yield "audience is another", KEY.request(app, parameters, aud="https://evil.example")
    yield "audiences are others", KEY.request(app, parameters, aud=["https://evil.example"])
    yield "audience is the endpoint", KEY.request(app, parameters, aud=ISSUER + "/connect/par")
    yield "request inside", KEY.request(app, parameters, request=good)
    yield "request_uri inside", KEY.request(app, parameters, request_uri="https://app.example/r")
    yield "too large", KEY.request(app, parameters, padding="x" * 17_000)
    for text in ("x", "a.b", "..", "e30.%.", "e30.ew.", "e30.e30.e30.e30", "." * 1000, "ü"):
        yield text[:10], text


def test_bad_requests_are_refused_at_both_doors(client, session, web, signed_in):
    register(session, "other", jwks=OTHER.jwks)
    for why, text in bad_requests(web):
        # The address outside is registered, yet nothing is proven: a page, never a redirect.
        assert is_refused(ask(client, web, text, redirect_uri=CALLBACK, state="x")), why
        answer = push(client, web, text)
        assert answer.status_code == 400, why
        assert answer.get_json()["error"] == "invalid_request_object", why
    assert session.scalar(select(func.count()).select_from(AuthorizationCode)) == 0


def test_several_audiences_are_fine_if_we_are_one(client, web, signed_in):
    text = signed(web, aud=["https://other.example", ISSUER])
    assert protocol.code_of(ask(client, web, text))


def test_a_request_and_a_name_exclude_each_other(client, web, signed_in):
    refused = ask(client, web, signed(web), request_uri="https://app.example/request.jwt")
    assert is_refused(refused)


def test_a_client_without_keys_signs_nothing(client, session, signed_in):
    app = register(session, "keyless")
    assert is_refused(ask(client, app, signed(app)))


def test_a_client_may_name_the_one_algorithm_that_it_signs_with(client, session, signed_in):
    rsa = ClientKey("RS256")
    app = register(session, jwks=rsa.jwks, request_object_signing_alg="PS256")
    parameters = protocol.authorization_parameters(app)
    assert is_refused(ask(client, app, rsa.request(app, parameters)))
    pss = ClientKey("PS256", key=rsa.key)
    assert protocol.code_of(ask(client, app, pss.request(app, parameters)))


def test_a_client_may_be_bound_to_signing(client, session, signed_in):
    app = register(session, jwks=KEY.jwks, require_signed_request_object=True)
    fields = protocol.returned(protocol.authorize(client, app))
    assert (fields["error"], fields["state"]) == ("invalid_request", "the-state")
    assert protocol.code_of(ask(client, app, signed(app)))
    plain = client.post("/connect/par", data=protocol.authorization_parameters(app, **app.post))
    assert (plain.status_code, plain.get_json()["error"]) == (400, "invalid_request")


def test_a_signed_request_may_be_pushed_and_what_stands_beside_does_not_count(
    client, session, signed_in
):
    app = register(session, jwks=KEY.jwks, require_signed_request_object=True)
    answer = push(client, app, signed(app), scope="openid email", state="outside")
    assert answer.status_code == 201, answer.get_data(as_text=True)
    query = {"client_id": app.client_id, "request_uri": answer.get_json()["request_uri"]}
    fields = protocol.returned(client.get("/connect/authorize", query_string=query))
    assert fields["state"] == "the-state"
    assert protocol.redeem(client, app, fields["code"]).get_json()["scope"] == "openid"


def test_a_page_between_needs_no_second_look_at_the_signature(client, session, clock):
    app = register(session, jwks=KEY.jwks, require_signed_request_object=True)
    asked = ask(client, app, signed(app, exp=time_of.timestamp() + 30))
    assert asked.location.startswith("/login?request=")
    handle = asked.location.partition("request=")[2]
    clock.shift(600)  # the person takes longer than the signature is good
    protocol.sign_in(client, session, add_person(session))
    assert protocol.code_of(client.get(f"/connect/authorize?continue={handle}"))


def test_a_posted_request_is_checked_before_it_is_kept(client, session, web, signed_in):
    form = {"client_id": web.client_id, "request": OTHER.request(web, {})}
    assert is_refused(client.post("/connect/authorize", data=form))
    assert session.scalar(select(func.count()).select_from(AuthorizationRequest)) == 0
    answer = client.post("/connect/authorize", data={**form, "request": signed(web)})
    assert protocol.code_of(client.get(answer.location))


def test_a_signed_request_is_no_assertion_and_an_assertion_no_request(client, session, signed_in):
    app = register(
        session, token_endpoint_auth_method="private_key_jwt", jwks=KEY.jwks, require_consent=False
    )
    now = time_of.timestamp()
    # Even with all that an assertion needs.
    text = signed(app, jti="0123456789", aud=ISSUER)
    form = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    answer = client.post(
        "/connect/token",
        data={**form, "client_assertion": text, "grant_type": "client_credentials"},
    )
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assertion = {"iss": app.client_id, "sub": app.client_id, "aud": ISSUER, "exp": now + 60}
    parameters = {"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": "openid"}
    more = {"response_type": "code", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    assert is_refused(ask(client, app, KEY.sign({**assertion, **parameters, **more}, typ="JWT")))


def test_discovery_says_what_is_accepted(client):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["request_parameter_supported"] is True
    assert metadata["request_uri_parameter_supported"] is False
    algorithms = metadata["request_object_signing_alg_values_supported"]
    assert sorted(algorithms) == ["ES256", "EdDSA", "PS256", "RS256"]
