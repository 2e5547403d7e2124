"""FAPI 2.0 Security Profile: one test per module `fapi2-security-profile-final-…` of the plan."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from html import unescape
from urllib.parse import urljoin

import httpx
import jwt
import pytest
from sqlalchemy import select

from idp.oauth.models import AuthorizationCode, PushedRequest
from idp.platform.secrets import digest
from tests.certificates import self_signed
from tests.client_keys import ClientKey
from tests.conformance.bank import Bank, Banks, check_page
from tests.conformance.browser import Browser, Page, Person
from tests.conformance.combinations import (
    Combination,
    in_each_combination,
    with_assertions,
    with_bound_certificates,
    with_proofs,
)
from tests.conformance.provider import Provider
from tests.protocol import CALLBACK, VERIFIER
from tests.provers import Prover

CANCEL = re.compile(r'formaction="([^"]*/cancel[^"]*)"')
VARIANTS = {
    "openid": {"is_openid": True, "signs": False},
    "plain": {"is_openid": False, "signs": False},
    "openid-signed": {"is_openid": True, "signs": True},
}


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> dict[str, bool]:
    """Choose a variant of the plan."""
    return VARIANTS[request.param]


@pytest.fixture
def bank(banks: Banks, combination: Combination, variant: dict[str, bool]) -> Bank:
    """Return the first client."""
    return banks[variant["signs"], combination, "one"].fresh(is_openid=variant["is_openid"])


@pytest.fixture
def other(banks: Banks, combination: Combination, variant: dict[str, bool]) -> Bank:
    """Return the second client."""
    return banks[variant["signs"], combination, "two"].fresh(is_openid=variant["is_openid"])


def check_refused(answer: httpx.Response, *errors: str, status: int = 400) -> None:
    """Check an error of the token endpoint."""
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] in errors


def age_code(provider: Provider, code: str, seconds: int) -> None:
    """Make a code older."""
    with provider.sessions() as session:
        row = session.scalars(
            select(AuthorizationCode).where(AuthorizationCode.code_hash == digest(code))
        ).one()
        row.expires_at -= timedelta(seconds=seconds)
        session.commit()


def age_push(provider: Provider, name: str, seconds: int) -> None:
    """Make a pushed request older."""
    handle = name.rpartition(":")[2]
    with provider.sessions() as session:
        row = session.scalars(
            select(PushedRequest).where(PushedRequest.handle_hash == digest(handle))
        ).one()
        row.created_at -= timedelta(seconds=seconds)
        row.expires_at -= timedelta(seconds=seconds)
        session.commit()


# Well-behaved clients


def test_discovery_end_point_verification(bank: Bank) -> None:
    metadata = bank.provider.metadata
    for name in ("id_token", "token_endpoint_auth", "userinfo"):
        algorithms = metadata[f"{name}_signing_alg_values_supported"]
        assert {"PS256", "ES256"} <= set(algorithms)
    assert {"PS256", "ES256"} <= set(metadata["dpop_signing_alg_values_supported"])
    methods = {"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}
    assert methods <= set(metadata["token_endpoint_auth_methods_supported"])
    assert metadata["tls_client_certificate_bound_access_tokens"] is True
    for name in ("token_endpoint", "pushed_authorization_request_endpoint", "userinfo_endpoint"):
        alias = metadata[name].replace("http://", "http://mtls.")
        assert metadata["mtls_endpoint_aliases"][name] == alias
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["pushed_authorization_request_endpoint"].startswith(metadata["issuer"])
    by_oauth = bank.provider.http.get(bank.provider.url + "/.well-known/oauth-authorization-server")
    assert by_oauth.json() == metadata


@in_each_combination
def test_happy_flow(bank: Bank, other: Bank, browser: Browser, person: Person) -> None:
    bank.complete(browser, person, bank.parameters())
    other.complete(browser, person, other.parameters())


def test_user_rejects_authentication(bank: Bank, browser: Browser) -> None:
    parameters = bank.parameters()
    page = bank.open(browser, bank.pushed(parameters))
    assert isinstance(page, Page)
    found = CANCEL.search(page.text)
    assert found is not None
    action = urljoin(page.url, unescape(found[1]))
    fields = bank.callback(browser.post(action, page.form.filled({}, None)))
    assert fields["error"] == "access_denied"
    assert fields["state"] == parameters["state"]


def test_ensure_authorization_request_without_state_success(
    bank: Bank, browser: Browser, person: Person
) -> None:
    bank.complete(browser, person, bank.parameters(state=None))


def test_ensure_authorization_request_without_nonce_success(
    bank: Bank, browser: Browser, person: Person
) -> None:
    bank.complete(browser, person, bank.parameters(nonce=None))


@pytest.mark.parametrize("length", [64, 128, 384])
def test_ensure_authorization_request_with_long_nonce(
    bank: Bank, browser: Browser, person: Person, length: int
) -> None:
    bank.complete(browser, person, bank.parameters(nonce="n" * length))


@pytest.mark.parametrize("length", [128, 384, 1000])
def test_ensure_authorization_request_with_long_state(
    bank: Bank, browser: Browser, person: Person, length: int
) -> None:
    bank.complete(browser, person, bank.parameters(state="s" * length))


def test_ensure_other_scope_order_succeeds(bank: Bank, browser: Browser, person: Person) -> None:
    scope = " ".join(reversed(str(bank.parameters()["scope"]).split()))
    bank.complete(browser, person, bank.parameters(scope=scope))


def test_test_claims_parameter_identity_claims(
    bank: Bank, browser: Browser, person: Person
) -> None:
    claims = '{"id_token":{"name":{"essential":true}},"userinfo":{"name":null}}'
    tokens = bank.complete(browser, person, bank.parameters(claims=claims))
    if bank.is_openid:
        assert bank.verify(tokens["id_token"])["name"]


@in_each_combination
def test_access_token_type_header_case_sensitivity(
    bank: Bank, browser: Browser, person: Person
) -> None:
    tokens = bank.complete(browser, person, bank.parameters())
    for scheme in (bank.scheme, bank.scheme.lower(), bank.scheme.upper()):
        bank.check_resource(tokens["access_token"], scheme)


# Proofs


@with_proofs
@pytest.mark.parametrize("seconds", [-10, 10])
def test_ensure_dpop_proof_with_iat_10_seconds_away_succeeds(
    bank: Bank, browser: Browser, person: Person, seconds: int
) -> None:
    code = bank.code(browser, person, bank.parameters())
    address = bank.address("token_endpoint")
    proof = bank.prover.shows("POST", address, iat=int(time.time()) + seconds)
    assert bank.redeem(code, headers=proof).status_code == 200


@with_proofs
def test_check_dpop_proof_nbf_exp(bank: Bank, browser: Browser, person: Person) -> None:
    code = bank.code(browser, person, bank.parameters())
    now = int(time.time())
    proof = bank.prover.shows("POST", bank.address("token_endpoint"), nbf=now, exp=now + 300)
    assert bank.redeem(code, headers=proof).status_code == 200


@with_proofs
def test_ensure_dpop_auth_code_binding_success(
    bank: Bank, browser: Browser, person: Person
) -> None:
    parameters = bank.parameters(dpop_jkt=bank.prover.jkt)
    bank.complete(browser, person, parameters)


@with_proofs
def test_ensure_dpop_proof_at_par_endpoint_binding_success(
    bank: Bank, browser: Browser, person: Person
) -> None:
    parameters = bank.parameters()
    proof = bank.proof(bank.address("pushed_authorization_request_endpoint"))
    name = bank.pushed(parameters, headers=proof)
    code = bank.code_of(browser, person, name, parameters)
    bank.check_tokens(bank.redeem(code), parameters)


@with_proofs
def test_ensure_mismatched_dpop_jkt_fails(bank: Bank) -> None:
    proof = bank.proof(bank.address("pushed_authorization_request_endpoint"))
    answer = bank.push(bank.parameters(dpop_jkt=Prover().jkt), headers=proof)
    bank.check_push_refused(answer, "invalid_dpop_proof", "invalid_request")


@with_proofs
def test_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(
    bank: Bank, browser: Browser, person: Person
) -> None:
    code = bank.code(browser, person, bank.parameters(dpop_jkt=Prover().jkt))
    check_refused(bank.redeem(code), "invalid_grant", "invalid_dpop_proof")


@with_proofs
def test_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(
    bank: Bank, browser: Browser, person: Person
) -> None:
    parameters = bank.parameters()
    address = bank.address("pushed_authorization_request_endpoint")
    name = bank.pushed(parameters, headers=Prover(issuer=bank.issuer).shows("POST", address))
    code = bank.code_of(browser, person, name, parameters)
    check_refused(bank.redeem(code), "invalid_grant", "invalid_dpop_proof")


@with_proofs
def test_dpop_negative_tests(bank: Bank, browser: Browser, person: Person) -> None:
    tokens = bank.complete(browser, person, bank.parameters())
    address = bank.address("userinfo_endpoint")
    token = tokens["access_token"]
    for wrong in (
        {"iat": int(time.time()) - 3600},
        {"htm": "POST"},
        {"htu": bank.issuer + "/elsewhere"},
        {"ath": "x" * 43},
        {"ath": None},
        {"jti": None},
    ):
        headers = bank.prover.uses(token, "GET", address, **wrong)
        assert bank.ask("GET", address, headers=headers).status_code == 401, wrong
    for header in ({"typ": "JWT"}, {"typ": None}, {"jwk": Prover().jwk}, {"jwk": None}):
        headers = bank.prover.uses(token, "GET", address, header=header)
        assert bank.ask("GET", address, headers=headers).status_code == 401, header
    twice = bank.prover.uses(token, "GET", address)
    expected = 200 if bank.is_openid else 403
    assert bank.ask("GET", address, headers=twice).status_code == expected
    assert bank.ask("GET", address, headers=twice).status_code == 401
    alone = {"Authorization": f"DPoP {token}"}
    assert bank.ask("GET", address, headers=alone).status_code == 401


@with_bound_certificates
def test_bound_tokens_need_their_certificate(
    bank: Bank, other: Bank, browser: Browser, person: Person
) -> None:
    token = bank.complete(browser, person, bank.parameters())["access_token"]
    for passed in ({}, other.certificate.passed(), self_signed().passed()):
        assert bank.userinfo(token, passed=passed).status_code == 401
    proof = bank.prover.uses(token, "GET", bank.address("userinfo_endpoint"))
    assert bank.ask("GET", bank.address("userinfo_endpoint"), headers=proof).status_code == 401


# The authorization endpoint


def test_plain_fapi_tolerate_unregistered_redirect_uri(bank: Bank) -> None:
    answer = bank.push(bank.parameters(redirect_uri=CALLBACK + "/unregistered"))
    bank.check_push_refused(answer, "invalid_request")


def test_ensure_registered_redirect_uri(bank: Bank) -> None:
    answer = bank.push(bank.parameters(redirect_uri="https://unregistered.example/callback"))
    bank.check_push_refused(answer, "invalid_request")


def test_ensure_unsigned_authorization_request_without_using_par_fails(
    bank: Bank, browser: Browser
) -> None:
    address = bank.address("authorization_endpoint")
    stop = browser.open(address, bank.parameters(response_mode=None))
    assert not isinstance(stop, Page)
    assert stop.fields["error"] == "invalid_request"


def test_ensure_redirect_uri_in_authorization_request(bank: Bank) -> None:
    answer = bank.push(bank.parameters(redirect_uri=None))
    bank.check_push_refused(answer, "invalid_request", "invalid_request_object")


@pytest.mark.parametrize("response_type", ["code id_token", "token"])
def test_ensure_response_type_fails(bank: Bank, response_type: str) -> None:
    answer = bank.push(bank.parameters(response_type=response_type))
    bank.check_push_refused(answer, "unsupported_response_type", "invalid_request")


# The token endpoint


@in_each_combination
def test_ensure_client_id_in_token_endpoint(
    bank: Bank, other: Bank, browser: Browser, person: Person
) -> None:
    code = bank.code(browser, person, bank.parameters())
    answer = bank.redeem(code, client_id=other.app.client_id)
    check_refused(answer, "invalid_client", status=401)


@in_each_combination
def test_ensure_holder_of_key_required(bank: Bank, browser: Browser, person: Person) -> None:
    code = bank.code(browser, person, bank.parameters())
    if not bank.combination.bound_to_certificate:
        check_refused(bank.redeem(code, headers={}), "invalid_request", "invalid_dpop_proof")
    elif not bank.combination.by_certificate:
        check_refused(bank.redeem(code, passed={}), "invalid_request")
    else:
        check_refused(bank.redeem(code, passed={}), "invalid_client", status=401)
    assert bank.redeem(code).status_code == 200


@in_each_combination
def test_ensure_authorization_code_is_bound_to_client(
    bank: Bank, other: Bank, browser: Browser, person: Person
) -> None:
    code = bank.code(browser, person, bank.parameters())
    check_refused(other.redeem(code, redirect_uri=bank.redirect_uri), "invalid_grant")


@in_each_combination
def test_attempt_reuse_authorization_code_after_one_second(
    bank: Bank, browser: Browser, person: Person
) -> None:
    code = bank.code(browser, person, bank.parameters())
    assert bank.redeem(code).status_code == 200
    check_refused(bank.redeem(code), "invalid_grant")


def test_attempt_to_use_expired_auth_code(bank: Bank, browser: Browser, person: Person) -> None:
    code = bank.code(browser, person, bank.parameters())
    age_code(bank.provider, code, 62)
    check_refused(bank.redeem(code), "invalid_grant")


# Assertions


def test_ensure_signed_client_assertion_with_rs256_fails(
    bank: Bank, browser: Browser, person: Person
) -> None:
    code = bank.code(browser, person, bank.parameters())
    by_rs256 = ClientKey("RS256", bank.key.kid, bank.issuer, bank.key.key)
    answer = bank.redeem(code, assertion=by_rs256.assertion(bank.app))
    check_refused(answer, "invalid_client", status=401)


@with_assertions
def test_ensure_client_assertion_in_token_endpoint(
    bank: Bank, browser: Browser, person: Person
) -> None:
    code = bank.code(browser, person, bank.parameters())
    answer = bank.redeem(code, assertion={"client_id": bank.app.client_id})
    check_refused(answer, "invalid_client", status=401)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) - 300},
        {"aud": "https://other.example"},
        {"sub": None},
    ],
)
def test_ensure_client_assertion_that_is_wrong_fails(
    bank: Bank, browser: Browser, person: Person, claims: dict[str, object]
) -> None:
    code = bank.code(browser, person, bank.parameters())
    answer = bank.redeem(code, assertion=bank.assertion(**claims))
    check_refused(answer, "invalid_client", status=401)


@pytest.mark.parametrize(("seconds", "status"), [(8, 201), (60, 401)])
def test_par_ensure_jwt_client_assertion_with_iat_nbf_in_the_future(
    bank: Bank, seconds: int, status: int
) -> None:
    later = int(time.time()) + seconds
    answer = bank.push(bank.parameters(), assertion=bank.assertion(iat=later, nbf=later))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("which", ["list", "par", "token"])
def test_par_endpoint_as_audience_fails(bank: Bank, which: str) -> None:
    par = bank.address("pushed_authorization_request_endpoint")
    audience = {"list": [par], "par": par, "token": bank.address("token_endpoint")}[which]
    answer = bank.push(bank.parameters(), assertion=bank.assertion(aud=audience))
    bank.check_push_refused(answer, "invalid_client", status=401)


# Refresh tokens


@in_each_combination
def test_refresh_token(bank: Bank, other: Bank, browser: Browser, person: Person) -> None:
    scope = f"{bank.parameters()['scope']} offline_access"
    parameters = bank.parameters(scope=scope, prompt="consent")
    tokens = bank.check_tokens(bank.redeem(bank.code(browser, person, parameters)), parameters)
    token = tokens["refresh_token"]
    first = bank.refresh(token)
    assert first.status_code == 200, first.text
    # The suite waits for thirty seconds and sends the old one again.
    second = bank.refresh(token)
    assert second.status_code == 200, second.text
    assert second.json()["access_token"] != first.json()["access_token"]
    for answer in (first, second):
        bank.check_resource(answer.json()["access_token"])
    check_refused(other.refresh(token), "invalid_grant")
    passed: dict[str, str] | None = {} if bank.combination.by_certificate else None
    unproven = bank.refresh(token, assertion={"client_id": bank.app.client_id}, passed=passed)
    check_refused(unproven, "invalid_client", status=401)


# Pushed requests


def test_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(
    bank: Bank, browser: Browser, person: Person
) -> None:
    parameters = bank.parameters()
    name = bank.pushed(parameters)
    assert isinstance(bank.open(browser, name), Page)
    code = bank.code_of(browser, person, name, parameters)
    bank.check_tokens(bank.redeem(code), parameters)


def test_par_attempt_reuse_request_uri(bank: Bank, browser: Browser, person: Person) -> None:
    parameters = bank.parameters()
    name = bank.pushed(parameters)
    bank.code_of(browser, person, name, parameters)
    check_page(bank.open(browser, name))


def test_par_attempt_to_use_expired_request_uri(bank: Bank, browser: Browser) -> None:
    name = bank.pushed(bank.parameters())
    age_push(bank.provider, name, 61)
    check_page(bank.open(browser, name))


@in_each_combination
def test_par_ensure_request_uri_is_bound_to_client(
    bank: Bank, other: Bank, browser: Browser
) -> None:
    check_page(other.open(browser, bank.pushed(bank.parameters())))


def test_par_reject_request_uri_in_par_authorization_form_params(bank: Bank) -> None:
    name = bank.pushed(bank.parameters())
    bank.check_push_refused(
        bank.push(bank.parameters(), request_uri=name), "invalid_request", "invalid_request_object"
    )


def test_par_reject_invalid_http_verb(bank: Bank) -> None:
    address = bank.address("pushed_authorization_request_endpoint")
    for method in ("GET", "PUT"):
        answer = bank.ask(method, address)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "POST"


def test_par_without_duplicate_parameters(bank: Bank, browser: Browser, person: Person) -> None:
    parameters = bank.parameters()
    stop = bank.open(browser, bank.pushed(parameters))
    fields = bank.callback(browser.answer(stop, person))
    bank.check_tokens(bank.redeem(fields["code"]), parameters)


# PKCE


def test_par_ensure_pkce_required(bank: Bank) -> None:
    answer = bank.push(bank.parameters(code_challenge=None, code_challenge_method=None))
    bank.check_push_refused(answer, "invalid_request")


def test_par_ensure_plain_pkce_rejected(bank: Bank) -> None:
    plain = bank.parameters(code_challenge=VERIFIER, code_challenge_method="plain")
    bank.check_push_refused(bank.push(plain), "invalid_request")


@pytest.mark.parametrize("verifier", [None, "x" * 43])
def test_par_pkce_code_verifier_is_required_and_compared(
    bank: Bank, browser: Browser, person: Person, verifier: str | None
) -> None:
    code = bank.code(browser, person, bank.parameters())
    answer = bank.redeem(code, code_verifier=verifier)
    check_refused(answer, "invalid_grant", "invalid_request")


def test_tokens_are_not_signed_by_rs256(bank: Bank, browser: Browser, person: Person) -> None:
    tokens = bank.complete(browser, person, bank.parameters())
    for name in {"access_token", "id_token"} & tokens.keys():
        assert jwt.get_unverified_header(tokens[name])["alg"] in {"PS256", "ES256", "EdDSA"}
