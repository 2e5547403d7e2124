"""What the guide for relying parties promises, where no other test of an application shows it."""

from __future__ import annotations

import json
import time

import pytest

from idp.platform.signing import signer
from tests import protocol
from tests.conformance.browser import Arrival, Browser, Page, Person
from tests.conformance.provider import Provider
from tests.conformance.relying_party import RelyingParty, SignedIn
from tests.protocol import AFTER_LOGOUT
from tests.relying_parties.conftest import API, Service


def test_every_client_uses_pkce_unless_it_is_set_otherwise(
    provider: Provider, browser: Browser
) -> None:
    with provider.sessions() as session:
        party = RelyingParty(provider, protocol.register(session, "careless"))
    parameters = party.parameters()
    assert party.check_refusal(party.authorize(browser, parameters), parameters) == (
        "invalid_request"
    )


@pytest.mark.parametrize("always", [False, True])
def test_the_id_token_holds_the_profile_only_for_clients_set_so(
    provider: Provider, browser: Browser, person: Person, always: bool
) -> None:
    with provider.sessions() as session:
        app = protocol.register(
            session,
            f"reader-{always}".lower(),
            require_pkce=False,
            always_include_user_claims_in_id_token=always,
        )
    result = RelyingParty(provider, app).sign_in(browser, person, scope="openid profile email")
    assert result.userinfo["name"] == "Conny Q. Formance"
    assert ("name" in result.identity) is always
    assert ("email" in result.identity) is always
    assert {"auth_time", "acr", "amr", "sid", "tenant"} <= result.identity.keys()


def test_single_claims_can_be_asked_for_in_the_id_token(
    service: Service, browser: Browser, person: Person
) -> None:
    claims = json.dumps({"id_token": {"email": None, "permission": None}})
    result = service.web.sign_in(browser, person, claims=claims)
    assert result.identity["email"] == f"{person.username}@example.com"
    assert result.identity["permission"] == ["orders.items.all", "orders.refund"]
    assert "email" not in result.userinfo


def test_select_account_asks_whether_to_go_on_as_who_is_signed_in(
    service: Service, browser: Browser, person: Person
) -> None:
    web = service.web
    web.sign_in(browser, person)
    parameters = web.parameters(prompt="select_account")
    page = web.authorize(browser, parameters)
    assert isinstance(page, Page)
    assert page.path == "/choose"


def test_nobody_is_asked_for_consent_with_prompt_none(
    provider: Provider, browser: Browser, service: Service, person: Person
) -> None:
    with provider.sessions() as session:
        app = protocol.register(session, "polite", require_consent=True, require_pkce=False)
    service.web.sign_in(browser, person)
    party = RelyingParty(provider, app)
    parameters = party.parameters(prompt="none")
    assert party.check_refusal(party.authorize(browser, parameters), parameters) == (
        "consent_required"
    )


def test_resource_narrows_the_audience(
    provider: Provider, browser: Browser, service: Service, person: Person
) -> None:
    with provider.sessions() as session:
        protocol.add_api(session, "billing", ("billing.read",))
        app = protocol.register(
            session, "both", scopes=("openid", "orders.read", "billing.read"), require_pkce=False
        )
    party = RelyingParty(provider, app)
    scope = "openid orders.read billing.read"
    both = party.sign_in(browser, person, scope=scope)
    assert protocol.payload(both.access_token)["aud"] == ["billing", API, provider.url]
    some = party.sign_in(browser, person, scope=scope, resource=[API, provider.url])
    assert protocol.payload(some.access_token)["aud"] == [API, provider.url]
    assert protocol.payload(some.access_token)["scope"] == "openid orders.read"
    # The API cannot ask who its caller is with a token that is for itself alone.
    parameters = party.parameters(scope=scope, resource=API)
    callback = party.check_callback(party.authorize(browser, parameters), parameters)
    one = party.check_tokens(party.redeem(callback["code"]))
    assert protocol.payload(one["access_token"])["aud"] == API
    assert party.userinfo(one["access_token"]).status_code == 401


def test_an_expired_id_token_still_signs_out(
    provider: Provider, browser: Browser, service: Service, person: Person
) -> None:
    signed_in: SignedIn = service.web.sign_in(browser, person)
    with provider.sessions() as session:
        claims = dict(signed_in.identity) | {"exp": int(time.time()) - 3600}
        old = signer.keys(session).sign(claims, alg=None, typ="JWT")
    stop = browser.open(
        provider.metadata["end_session_endpoint"],
        {"id_token_hint": old, "post_logout_redirect_uri": AFTER_LOGOUT},
    )
    assert isinstance(stop, Arrival)
    assert stop.url == AFTER_LOGOUT


def test_without_an_id_token_the_client_id_vouches_for_the_address_and_the_person_is_asked(
    provider: Provider, browser: Browser, service: Service, person: Person
) -> None:
    service.web.sign_in(browser, person)
    page = browser.open(
        provider.metadata["end_session_endpoint"],
        {
            "client_id": service.web.app.client_id,
            "post_logout_redirect_uri": AFTER_LOGOUT,
            "state": "after",
        },
    )
    assert isinstance(page, Page)
    assert page.path == "/logout"
    stop = browser.answer(page, person)
    assert isinstance(stop, Arrival)
    assert stop.address == AFTER_LOGOUT
    assert stop.fields == {"state": "after"}
