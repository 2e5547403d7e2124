"""FAPI 2.0 Message Signing: the modules of the plan that the Security Profile has not.

The others run with signed requests and answers in `test_fapi2`.
"""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from tests.attacks import forging
from tests.client_keys import ClientKey
from tests.conformance.bank import Bank, Banks
from tests.conformance.browser import Arrival, Browser, Person
from tests.conformance.combinations import Combination, by_each_method, in_each_combination

NOW = int(time.time())
REFUSED = ("invalid_request_object", "invalid_request")


@pytest.fixture(params=[True, False], ids=["openid", "plain"])
def bank(banks: Banks, combination: Combination, request: pytest.FixtureRequest) -> Bank:
    """Return the first client."""
    return banks[True, combination, "one"].fresh(is_openid=request.param)


def complete_with(bank: Bank, browser: Browser, person: Person, **claims: Any) -> None:
    """Go through the flow with a request object whose claims are as said."""
    parameters = bank.parameters()
    name = bank.pushed(parameters, claims=claims)
    bank.check_tokens(bank.redeem(bank.code_of(browser, person, name, parameters)), parameters)


def test_discovery_end_point_verification(bank: Bank) -> None:
    metadata = bank.provider.metadata
    assert metadata["request_parameter_supported"] is True
    for name in ("request_object", "authorization"):
        algorithms = metadata[f"{name}_signing_alg_values_supported"]
        assert {"PS256", "ES256"} <= set(algorithms)
        assert "none" not in algorithms
    assert "jwt" in metadata["response_modes_supported"]


@in_each_combination
def test_ensure_server_accepts_request_object_with_multiple_aud(
    bank: Bank, browser: Browser, person: Person
) -> None:
    complete_with(bank, browser, person, aud=["https://other.example", bank.issuer])


def test_ensure_request_object_with_nbf_8_seconds_in_the_future_is_accepted(
    bank: Bank, browser: Browser, person: Person
) -> None:
    complete_with(bank, browser, person, nbf=int(time.time()) + 8)


@pytest.mark.parametrize("name", ["state", "nonce"])
def test_ensure_different_value_inside_and_outside_request_object(
    bank: Bank, browser: Browser, person: Person, name: str
) -> None:
    """What is inside counts, at the push and when the request is opened."""
    parameters = bank.parameters()
    pushed = bank.pushed(parameters, **{name: "outside"})
    outside = {**parameters, name: "outside"}
    fields = bank.callback(browser.answer(bank.open(browser, pushed, outside), person))
    assert fields.get("state") == parameters["state"]
    bank.check_tokens(bank.redeem(fields["code"]), parameters)


def test_state_only_outside_request_object_not_used(
    bank: Bank, browser: Browser, person: Person
) -> None:
    parameters = bank.parameters(state=None)
    name = bank.pushed(parameters, state="outside")
    stop = bank.open(browser, name, {**parameters, "state": "outside"})
    assert "state" not in bank.callback(browser.answer(stop, person))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"nbf": None},
        {"exp": NOW - 300},
        {"aud": "https://other.example"},
        {"nbf": NOW, "exp": NOW + 4200},
        {"nbf": NOW - 4200},
    ],
)
def test_ensure_request_object_with_wrong_claims_fails(bank: Bank, claims: dict[str, Any]) -> None:
    bank.check_push_refused(bank.push(bank.parameters(), claims=claims), *REFUSED)


def test_ensure_request_object_without_redirect_uri_fails(bank: Bank) -> None:
    answer = bank.push(bank.parameters(redirect_uri=None), redirect_uri=bank.redirect_uri)
    bank.check_push_refused(answer, *REFUSED)


@by_each_method
def test_ensure_signed_request_object_with_rs256_fails(bank: Bank) -> None:
    by_rs256 = ClientKey("RS256", bank.key.kid, bank.issuer, bank.key.key)
    request = by_rs256.request(bank.app, bank.parameters())
    bank.check_push_refused(bank.push({}, request=request), *REFUSED)


@by_each_method
def test_ensure_request_object_signature_algorithm_is_not_none(bank: Bank) -> None:
    signed = bank.key.request(bank.app, bank.parameters())
    claims = jwt.decode(signed, options={"verify_signature": False})
    request = forging.unsigned({"alg": "none"}, claims)
    bank.check_push_refused(bank.push({}, request=request), *REFUSED)


@by_each_method
def test_ensure_request_object_with_invalid_signature_fails(bank: Bank) -> None:
    request = bank.key.request(bank.app, bank.parameters())
    head, claims, signature = request.split(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    bank.check_push_refused(bank.push({}, request=f"{head}.{claims}.{flipped}"), *REFUSED)


@by_each_method
def test_ensure_matching_key_in_authorization_request(
    bank: Bank, banks: Banks, combination: Combination
) -> None:
    request = banks[True, combination, "two"].key.request(bank.app, bank.parameters())
    bank.check_push_refused(bank.push({}, request=request), *REFUSED)


@by_each_method
def test_ensure_unsigned_request_at_par_endpoint_fails(bank: Bank) -> None:
    bank.signs = False
    bank.check_push_refused(bank.push(bank.parameters()), *REFUSED)


def test_par_reject_request_uri_in_par_authorization_request(bank: Bank) -> None:
    name = bank.pushed(bank.parameters())
    answer = bank.push(bank.parameters(), claims={"request_uri": name})
    bank.check_push_refused(answer, *REFUSED)


def test_plain_answers_where_no_signed_one_is_asked_for(
    bank: Bank, browser: Browser, person: Person
) -> None:
    parameters = bank.parameters(response_mode=None)
    stop = browser.answer(bank.open(browser, bank.pushed(parameters)), person)
    assert isinstance(stop, Arrival)
    assert stop.fields["iss"] == bank.issuer
