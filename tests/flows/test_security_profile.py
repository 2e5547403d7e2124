"""Clients that keep to a security profile (FAPI 2.0)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.clients import service as clients
from idp.directory.clients import snapshot
from idp.directory.clients.models import Client
from idp.platform import clock as time_of
from idp.platform.errors import Problem
from tests import protocol
from tests.client_keys import ISSUER, ClientKey
from tests.protocol import VERIFIER, add_api, add_person, register, register_machine
from tests.provers import Prover

KEY = ClientKey()
PROVER = Prover()
RSA = ClientKey("RS256", kid="rsa")
KEYS = {"keys": [*KEY.jwks["keys"], *RSA.jwks["keys"]]}


def bank(session, profile="fapi2", client_id="bank", **settings):
    """Register a client with a profile and its keys, and nothing else."""
    return register(session, client_id, security_profile=profile, jwks=KEYS, **settings)


def push(client, app, *, key=KEY, signed=None, audience=ISSUER, **parameters):
    """Push a request; signed as `signed` says of its claims, where it does."""
    asked = protocol.authorization_parameters(app, **parameters)
    form = asked if signed is None else {"request": key.request(app, asked, **signed)}
    assertion = key.assertion(app, aud=audience)
    return client.post("/connect/par", data={"client_id": app.client_id, **form, **assertion})


def open_pushed(client, app, answer):
    assert answer.status_code == 201, answer.get_data(as_text=True)
    query = {"client_id": app.client_id, "request_uri": answer.get_json()["request_uri"]}
    return client.get("/connect/authorize", query_string=query)


def refused(answer, error, status=400):
    assert (answer.status_code, answer.get_json()["error"]) == (status, error)
    return True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_endpoint_auth_method", "client_secret_basic"),
        ("token_endpoint_auth_method", "none"),
        ("token_endpoint_auth_signing_alg", "RS256"),
        ("request_object_signing_alg", "RS256"),
        ("id_token_signed_response_alg", "RS256"),
        ("userinfo_signed_response_alg", "RS256"),
        ("introspection_signed_response_alg", "RS256"),
        ("authorization_signed_response_alg", "RS256"),
        ("require_pkce", False),
        ("authorization_code_lifetime", 61),
        ("authorization_code_lifetime", 600),
    ],
)
@pytest.mark.parametrize("profile", ["fapi2", "fapi2_message_signing"])
def test_what_contradicts_the_profile_is_refused_by_name(session, profile, name, value):
    with pytest.raises(Problem) as refusal:
        bank(session, **{"profile": profile, name: value})
    assert [*refusal.value.fields] == [name]
    session.rollback()
    assert session.scalar(select(Client).where(Client.client_id == "bank")) is None


def test_other_addresses_and_missing_keys_are_refused(session):
    with pytest.raises(Problem) as refusal:
        bank(session, redirect_uris=("http://127.0.0.1/callback",))
    assert [*refusal.value.fields] == ["redirect_uris"]
    session.rollback()
    with pytest.raises(Problem) as refusal:
        register(session, "keyless", security_profile="fapi2")
    assert [*refusal.value.fields] == ["jwks"]
    session.rollback()
    with pytest.raises(Problem) as refusal:
        bank(session, "fapi1")
    assert [*refusal.value.fields] == ["security_profile"]
    session.rollback()
    # A client that has the profile cannot be changed out of it in one respect.
    app = bank(session)
    with pytest.raises(Problem) as refusal:
        clients.update(session, clients.get(session, app.client_id), {"require_pkce": False})
    assert [*refusal.value.fields] == ["require_pkce"]


def test_one_setting_brings_all_the_others(session):
    app = bank(session)
    assert app.secret is None
    view = snapshot.find(session, app.client_id)
    assert view.auth_methods() == {"private_key_jwt"}
    assert view.strict_assertion_audience
    assert view.require_pkce
    assert view.require_pushed_authorization_requests
    assert not view.require_signed_request_object
    assert view.authorization_code_lifetime == 60
    assert view.refresh_token_is_reusable
    assert view.dpop_bound_access_tokens
    assert view.signing_alg == view.id_token_signed_response_alg == "ES256"
    assert view.response_modes == {"query", "fragment", "form_post"}
    signing = bank(
        session, "fapi2_message_signing", "signing", id_token_signed_response_alg="PS256"
    )
    view = snapshot.find(session, signing.client_id)
    assert view.require_signed_request_object
    assert view.id_token_signed_response_alg == "PS256"
    assert {"jwt", "form_post.jwt"} < view.response_modes
    # What is stored is what was set, so that the profile can be taken away again.
    row = session.scalars(select(Client).where(Client.client_id == "bank")).one()
    assert row.authorization_code_lifetime == 300


def test_a_certificate_may_take_the_place_of_key_and_proof(session):
    by_name = {
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "a.example",
    }
    bound = {"tls_client_certificate_bound_access_tokens": True}
    register(session, "bank", security_profile="fapi2", **by_name, **bound)
    view = snapshot.find(session, "bank")
    assert view.auth_methods() == {"tls_client_auth"}
    assert view.tls_client_certificate_bound_access_tokens
    assert not view.dpop_bound_access_tokens
    register(session, "mixed", security_profile="fapi2", **by_name)
    assert snapshot.find(session, "mixed").dpop_bound_access_tokens
    with pytest.raises(Problem) as refusal:
        register(session, "keyless", security_profile="fapi2_message_signing", **by_name)
    assert [*refusal.value.fields] == ["jwks"]


def test_requests_are_pushed_and_nothing_else(client, session):
    app = bank(session)
    protocol.sign_in(client, session, add_person(session))
    assert protocol.returned(protocol.authorize(client, app))["error"] == "invalid_request"
    signed = KEY.request(app, protocol.authorization_parameters(app))
    query = {"client_id": app.client_id, "request": signed}
    fields = protocol.returned(client.get("/connect/authorize", query_string=query))
    assert fields["error"] == "invalid_request"
    assert protocol.code_of(open_pushed(client, app, push(client, app)))


def test_assertions_name_the_issuer_alone(client, session):
    app = bank(session)
    assert push(client, app).status_code == 201
    for audience in (
        *(ISSUER + "/connect/token", ISSUER + "/connect/par", [ISSUER]),
        [ISSUER, ISSUER + "/connect/par"],
    ):
        assert refused(push(client, app, audience=audience), "invalid_client", 401), audience


def test_no_rs256_anywhere(client, session):
    app = bank(session)
    assert refused(push(client, app, key=RSA), "invalid_client", 401)
    pss = ClientKey("PS256", kid="rsa", key=RSA.key)
    assert push(client, app, key=pss).status_code == 201
    signing = bank(session, "fapi2_message_signing", "signing")
    asked = protocol.authorization_parameters(signing)
    form = {"client_id": signing.client_id, "request": RSA.request(signing, asked)}
    answer = client.post("/connect/par", data=form | KEY.assertion(signing))
    assert refused(answer, "invalid_request_object")
    plain = register(session, "plain", jwks=KEYS)
    assert (
        protocol.returned(
            client.get(
                "/connect/authorize",
                query_string={
                    "client_id": plain.client_id,
                    "request": RSA.request(
                        plain, protocol.authorization_parameters(plain), prompt="none"
                    ),
                },
            )
        )["error"]
        == "login_required"
    )


def test_message_signing_asks_for_signed_requests_of_a_short_life(client, session):
    app = bank(session, "fapi2_message_signing")
    now = time_of.timestamp()
    assert refused(push(client, app), "invalid_request")
    for good in (
        {},
        {"aud": [ISSUER, "https://other.example"]},
        {"nbf": now + 8},
        {"nbf": now - 3500, "exp": now + 50},
        {"nbf": now, "exp": now + 3600},
    ):
        assert push(client, app, signed=good).status_code == 201, good
    for bad in (
        {"aud": None},
        {"exp": None},
        {"nbf": None},
        {"exp": now - 60},
        {"nbf": now, "exp": now + 3660},
        {"nbf": now - 3660, "exp": now + 50},
        {"nbf": now + 60},
    ):
        assert refused(push(client, app, signed=bad), "invalid_request_object"), bad
    # Another client may sign for as long as it likes.
    free = register(session, "free", jwks=KEYS, token_endpoint_auth_method="private_key_jwt")
    assert push(client, free, signed={"nbf": None, "exp": now + 10**6}).status_code == 201


def test_answers_are_signed_when_asked_for(client, session):
    app = bank(session, "fapi2_message_signing")
    protocol.sign_in(client, session, add_person(session))
    answer = open_pushed(client, app, push(client, app, signed={}, response_mode="jwt"))
    signed = protocol.returned(answer)["response"]
    assert protocol.header(signed)["alg"] == "ES256"
    assert protocol.payload(signed).keys() == {"iss", "aud", "exp", "code", "state"}
    assert protocol.code_of(open_pushed(client, app, push(client, app, signed={})))
    assert refused(
        push(client, bank(session, client_id="other"), response_mode="jwt"), "invalid_request"
    )


def test_a_code_lives_for_a_minute(client, session, clock):
    app = bank(session)
    protocol.sign_in(client, session, add_person(session))
    for seconds, status in ((59, 200), (62, 400)):
        code = protocol.code_of(open_pushed(client, app, push(client, app)))
        clock.shift(seconds)
        answer = redeem(client, app, code)
        assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.get_json()["error"] == "invalid_grant"


def shown():
    """Show the key that tokens are bound to."""
    return PROVER.shows(iat=time_of.timestamp())


def redeem(client, app, code, headers=None, **form):
    """Redeem a code as the profile asks."""
    members = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    redirect = {"redirect_uri": protocol.CALLBACK}
    return client.post(
        "/connect/token",
        data=members | redirect | KEY.assertion(app) | form,
        headers=shown() if headers is None else headers,
    )


def test_tokens_are_bound_to_a_key(client, session):
    app = bank(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(open_pushed(client, app, push(client, app)))
    assert refused(redeem(client, app, code, headers={}), "invalid_dpop_proof")
    tokens = redeem(client, app, code).get_json()
    assert tokens["token_type"] == "DPoP"
    assert protocol.payload(tokens["access_token"])["cnf"] == {"jkt": PROVER.jkt}
    add_api(session)
    keys = {"security_profile": "fapi2", "jwks": KEYS}
    machine = register_machine(session, "batch", scopes=["orders.read"], **keys)
    form = {"grant_type": "client_credentials"}
    plain = client.post("/connect/token", data=form | KEY.assertion(machine))
    assert refused(plain, "invalid_dpop_proof")
    bound = client.post("/connect/token", data=form | KEY.assertion(machine), headers=shown())
    assert bound.get_json()["token_type"] == "DPoP"


def test_refresh_tokens_stay_as_they_are(client, session, clock):
    app = bank(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(
        open_pushed(client, app, push(client, app, scope="openid offline_access"))
    )
    tokens = redeem(client, app, code).get_json()
    assert protocol.header(tokens["access_token"])["alg"] == "ES256"
    assert protocol.header(tokens["id_token"])["alg"] == "ES256"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for _ in range(3):
        clock.shift(600)
        answer = client.post("/connect/token", data=form | KEY.assertion(app), headers=shown())
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert answer.get_json()["refresh_token"] == tokens["refresh_token"]
    assert refused(client.post("/connect/token", data=form), "invalid_client", 401)
