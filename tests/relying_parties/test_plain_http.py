"""Relying parties that speak HTTP and know the RFCs, without any library for the protocol."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import replace
from typing import Any

from tests import protocol
from tests.conformance.browser import Arrival, Browser, Page, Person
from tests.conformance.provider import Provider
from tests.relying_parties.conftest import API, Service


def test_a_native_app_signs_in_refreshes_and_revokes(
    provider: Provider, browser: Browser, person: Person
) -> None:
    with provider.sessions() as session:
        protocol.register(
            session,
            "desktop",
            public=True,
            redirect_uris=("http://127.0.0.1/callback",),
            application_type="native",
        )
    # RFC 8414 3
    metadata = provider.http.get(f"{provider.url}/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == provider.url
    assert "S256" in metadata["code_challenge_methods_supported"]
    # RFC 7636 4.1, 4.2; RFC 8252 7.3: whatever port was free.
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    redirect_uri = "http://127.0.0.1:49152/callback"
    state = secrets.token_urlsafe()
    stop = browser.open(
        metadata["authorization_endpoint"],
        {
            "response_type": "code",
            "client_id": "desktop",
            "redirect_uri": redirect_uri,
            "scope": "openid email offline_access",
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        },
    )
    stop = browser.answer(stop, person)
    assert isinstance(stop, Arrival)
    assert stop.address == redirect_uri
    assert stop.fields["state"] == state
    assert stop.fields["iss"] == metadata["issuer"]

    def post(endpoint: str, **form: str) -> Any:
        return provider.http.post(metadata[endpoint], data={"client_id": "desktop", **form})

    answer = post(
        "token_endpoint",
        grant_type="authorization_code",
        code=stop.fields["code"],
        redirect_uri=redirect_uri,
        code_verifier=verifier,
    )
    assert answer.status_code == 200, answer.text
    first = answer.json()
    second = post(
        "token_endpoint", grant_type="refresh_token", refresh_token=first["refresh_token"]
    ).json()
    assert second["refresh_token"] != first["refresh_token"]
    header = protocol.bearer(second["access_token"])
    userinfo = provider.http.get(metadata["userinfo_endpoint"], headers=header)
    assert userinfo.json()["email"] == f"{person.username}@example.com"
    # RFC 7009 2.1: the grant ends with its refresh token.
    revoked = post("revocation_endpoint", token=second["refresh_token"])
    assert revoked.status_code == 200
    refused = provider.http.get(metadata["userinfo_endpoint"], headers=header)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_machine_gets_a_token_and_its_api_introspects_it(
    provider: Provider, service: Service
) -> None:
    answer = provider.http.post(
        provider.metadata["token_endpoint"],
        data={"grant_type": "client_credentials", "scope": "orders.read"},
        headers=service.machine.basic,
    )
    assert answer.status_code == 200, answer.text
    token = answer.json()
    assert token["scope"] == "orders.read"
    told = provider.http.post(
        provider.metadata["introspection_endpoint"],
        data={"token": token["access_token"]},
        auth=(API, service.secret),
    ).json()
    assert told["active"] is True
    assert told["aud"] == API
    assert told["sub"] == told["client_id"] == service.machine.client_id


def test_a_visitor_who_denies_is_sent_back_with_access_denied(
    provider: Provider, browser: Browser, person: Person
) -> None:
    with provider.sessions() as session:
        app = protocol.register(session, "curious", require_consent=True)
    page = browser.open(
        provider.metadata["authorization_endpoint"],
        protocol.authorization_parameters(app, scope="openid email"),
    )
    assert isinstance(page, Page)
    page = browser.submit(page, login=person.username, password=person.password)
    assert isinstance(page, Page)
    assert page.path == "/consent"
    stop = browser.submit(page, press="deny")
    assert isinstance(stop, Arrival)
    assert stop.fields["error"] == "access_denied"
    assert stop.fields["state"] == "the-state"


def test_the_answer_may_come_as_a_posted_form(
    provider: Provider, service: Service, browser: Browser, person: Person
) -> None:
    web = replace(service.web, mode="form_post")
    parameters = web.parameters()
    stop = browser.answer(web.authorize(browser, parameters), person)
    assert isinstance(stop, Arrival)
    assert stop.method == "POST"
    web.complete(browser, person, stop, parameters)
