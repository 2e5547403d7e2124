"""Dynamic OP: clients that register themselves and authenticate by `private_key_jwt`.

One test for each module of the plan, named after it, and the two of third-party initiated login.
The suite sends the initial access token that it is configured with; here it is one whose clients
are trusted and may do without PKCE, because the modules send no challenge.

Left out, because they ask for what is not offered or is the same elsewhere:

- `idtoken-unsigned`: the suite skips it where `none` is not listed among the algorithms.
- `discovery-endpoint-verification`: with a registered client it demands the implicit flow.
- `request-uri-unsigned`, `request-uri-signed-rs256`: request objects by reference.
- `ensure-request-object-with-redirect-uri`: skipped where only signed request objects are taken.
- `registration-sector-uri`, `registration-sector-bad`: skipped where subjects are not pairwise; the
  document is examined all the same, see `tests/flows/test_registration_endpoint.py`.
- `refresh-token-rp-key-rotation`: it waits until keys are fetched anew; the test stands at the end
  of this file, in one process whose clock it can set.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import jwt
import pytest

from idp.directory.actor import OPERATOR
from idp.directory.clients import registration_tokens
from idp.directory.clients.registration_tokens import NewToken, Policy
from idp.platform import fetch
from idp.platform.signing import service as signing
from tests import protocol
from tests.attacks import forms
from tests.client_keys import ClientKey
from tests.conformance.browser import Browser, Page, Person
from tests.conformance.metadata import check_keys
from tests.conformance.provider import Provider
from tests.conformance.relying_party import RelyingParty, SignedIn
from tests.protocol import CALLBACK, App
from tests.registering import app_of, documents, enrol, initial_token
from tests.servers import free_port

PORT = free_port()
WITH_QUERY = f"{CALLBACK}?bar=foo"


@dataclass(frozen=True)
class Registrant(RelyingParty):
    """A relying party that registered itself with its keys."""

    key: ClientKey = field(default_factory=ClientKey)
    registered: Mapping[str, Any] = field(default_factory=dict)
    """What it was answered."""

    def token_request(self, **form: str) -> httpx.Response:
        """Call the token endpoint with an assertion made for it."""
        endpoint = self.provider.metadata["token_endpoint"]
        proof = self.key.assertion(self.app, aud=form.pop("audience", endpoint))
        return self.provider.http.post(endpoint, data={**form, **proof})


@pytest.fixture(scope="module")
def token(provider: Provider) -> str:
    """Issue the initial access token that the suite is configured with."""
    with provider.sessions() as session:
        policy = Policy(is_trusted=True, requires_pkce=False)
        _, value = registration_tokens.issue(session, OPERATOR, None, NewToken(policy))
        session.commit()
        return value


def post(provider: Provider, token: str, **members: Any) -> httpx.Response:
    """Register as the suite does: keys, method, response types, contacts; no scope."""
    body = {
        "client_name": f"OIDF conformance {secrets.token_hex(4)}",
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "response_types": ["code"],
        "redirect_uris": [CALLBACK],
        "contacts": ["certification@oidf.org"],
        **members,
    }
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    address = provider.metadata["registration_endpoint"]
    return provider.http.post(address, json=body, headers=headers)


def register(provider: Provider, token: str, **members: Any) -> Registrant:
    """Register a client, with the checks that the suite makes of the answer."""
    key = replace(ClientKey("RS256"), issuer=provider.url)
    answer = post(provider, token, **{"jwks": key.jwks, **members})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    made = answer.json()
    assert "error" not in made
    assert made["client_id"]
    # OpenID Connect Registration 3.2: both or neither.
    assert made["registration_access_token"]
    assert made["registration_client_uri"].startswith(f"{provider.url}/")
    assert made.get("client_secret_expires_at", 0) == 0
    app = App(made["client_id"], None, 0)
    return Registrant(provider, app, key=key, registered=made)


def check_error_page(party: RelyingParty, browser: Browser, **changes: Any) -> None:
    """Check that a request ends at a page and nothing is sent to any address."""
    stop = party.authorize(browser, party.parameters(**changes))
    assert isinstance(stop, Page), stop
    assert stop.status == 400


def login_page(party: RelyingParty, browser: Browser) -> str:
    """Return what the person sees first, in a fresh browser."""
    stop = party.authorize(browser, party.parameters())
    assert isinstance(stop, Page), stop
    assert (stop.path, stop.status) == ("/login", 200)
    return stop.text


def test_server(provider: Provider, token: str, browser: Browser, person: Person) -> None:
    result = register(provider, token).sign_in(browser, person)
    assert isinstance(result, SignedIn)


def test_idtoken_rs256(provider: Provider, token: str, browser: Browser, person: Person) -> None:
    party = register(provider, token, id_token_signed_response_alg="RS256")
    header = jwt.get_unverified_header(party.sign_in(browser, person).id_token)
    assert header["alg"] == "RS256"
    assert header["kid"]


def test_userinfo_rs256(provider: Provider, token: str, browser: Browser, person: Person) -> None:
    assert "RS256" in provider.metadata["userinfo_signing_alg_values_supported"]
    party = register(provider, token, userinfo_signed_response_alg="RS256")
    parameters = party.parameters()
    stop = browser.answer(party.authorize(browser, parameters), person)
    callback = party.check_callback(stop, parameters)
    tokens = party.check_tokens(party.redeem(callback["code"]))
    answer = party.userinfo(tokens["access_token"])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jwt"
    keys = provider.http.get(provider.metadata["jwks_uri"]).json()["keys"]
    header = jwt.get_unverified_header(answer.text)
    (key,) = [key for key in keys if key["kid"] == header["kid"]]
    claims = jwt.decode(
        answer.text,
        jwt.PyJWK(key),
        algorithms=["RS256"],
        audience=party.app.client_id,
        issuer=provider.url,
    )
    assert claims["sub"] == party.check_id_token(tokens, parameters)["sub"]
    assert "nonce" not in claims


def test_ensure_redirect_uri_in_authorization_request(
    provider: Provider, token: str, browser: Browser
) -> None:
    party = register(provider, token, redirect_uris=[CALLBACK, f"{CALLBACK}/other"])
    check_error_page(party, browser, redirect_uri=None)


def test_redirect_uri_query_ok(
    provider: Provider, token: str, browser: Browser, person: Person
) -> None:
    party = register(provider, token, redirect_uris=[WITH_QUERY])
    assert replace(party, redirect_uri=WITH_QUERY).sign_in(browser, person)


def test_redirect_uri_query_mismatch(provider: Provider, token: str, browser: Browser) -> None:
    party = register(provider, token, redirect_uris=[WITH_QUERY])
    check_error_page(party, browser, redirect_uri=f"{CALLBACK}?foo=bar")


def test_redirect_uri_query_added(provider: Provider, token: str, browser: Browser) -> None:
    check_error_page(register(provider, token), browser, redirect_uri=f"{CALLBACK}?foo=bar")


def test_redirect_uri_regfrag(provider: Provider, token: str) -> None:
    answer = post(provider, token, redirect_uris=[f"{CALLBACK}#foobar"], jwks=ClientKey().jwks)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["error"] == "invalid_redirect_uri"


def test_registration_logo_uri(provider: Provider, token: str, browser: Browser) -> None:
    logo = "https://app.example/logo.png"
    assert logo in login_page(register(provider, token, logo_uri=logo), browser)


def test_registration_policy_uri(provider: Provider, token: str, browser: Browser) -> None:
    policy = "https://app.example/policy"
    assert policy in login_page(register(provider, token, policy_uri=policy), browser)


def test_registration_tos_uri(provider: Provider, token: str, browser: Browser) -> None:
    terms = "https://app.example/terms"
    assert terms in login_page(register(provider, token, tos_uri=terms), browser)


def _published_next(provider: Provider, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the keys when they are others: servers read configuration once a second."""
    after = before
    deadline = time.monotonic() + 10
    while after == before and time.monotonic() < deadline:
        after = provider.http.get(provider.metadata["jwks_uri"]).json()["keys"]
        time.sleep(0.05)
    return after


def test_server_rotate_keys(provider: Provider) -> None:
    before = provider.http.get(provider.metadata["jwks_uri"]).json()["keys"]
    check_keys(before)
    with provider.sessions() as session:
        signing.rotate(session, "RS256")
        session.commit()
    after = _published_next(provider, before)
    check_keys(after)
    known = {key["kid"] for key in before}
    assert {key["kid"] for key in after} > known


def test_refresh_token(provider: Provider, token: str, browser: Browser, person: Person) -> None:
    assert "refresh_token" in provider.metadata["grant_types_supported"]
    grants = ["authorization_code", "refresh_token"]
    one, two = (register(provider, token, grant_types=grants) for _ in range(2))
    tokens = []
    for party in (one, two):
        result = party.sign_in(browser, person, scope="openid offline_access", prompt="consent")
        refreshed = party.check_tokens(
            party.token_request(
                grant_type="refresh_token", refresh_token=result.tokens["refresh_token"]
            )
        )
        assert party.verify(refreshed["id_token"])["sub"] == result.identity["sub"]
        assert party.check_userinfo(party.userinfo(refreshed["access_token"]), result.identity)
        tokens.append(refreshed["refresh_token"])
    stolen = one.token_request(grant_type="refresh_token", refresh_token=tokens[1])
    assert one.check_refused(stolen) == "invalid_grant"


def test_ensure_client_assertion_with_iss_aud_succeeds(
    provider: Provider, token: str, browser: Browser, person: Person
) -> None:
    party = register(provider, token)
    parameters = party.parameters()
    stop = party.authorize(browser, parameters)
    assert party.complete(browser, person, stop, parameters, audience=provider.url)


def test_3rd_party_init_login(provider: Provider, token: str) -> None:
    address = "https://app.example/initiate_login"
    party = register(provider, token, initiate_login_uri=address)
    assert party.registered["initiate_login_uri"] == address
    own = {"Authorization": f"Bearer {party.registered['registration_access_token']}"}
    read = provider.http.get(party.registered["registration_client_uri"], headers=own)
    assert read.status_code == 200
    assert read.headers["Content-Type"] == "application/json"
    assert read.json()["initiate_login_uri"] == address


def test_3rd_party_init_login_nohttps(provider: Provider, token: str) -> None:
    answer = post(
        provider, token, jwks=ClientKey().jwks, initiate_login_uri="http://app.example/login"
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client_metadata"


@pytest.mark.settings(fetch_allow=f"127.0.0.1:{PORT}")
def test_registration_jwks_uri_and_refresh_token_rp_key_rotation(
    client: Any, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ClientKey("RS256", kid="first")
    pages = {"/client1_jwks": first.jwks}
    trusted = initial_token(session, is_trusted=True, requires_pkce=False)
    monkeypatch.setattr(fetch, "REFRESH_SECONDS", 0)
    with documents(PORT, pages):
        made = enrol(
            client,
            trusted,
            token_endpoint_auth_method="private_key_jwt",
            jwks_uri=f"http://127.0.0.1:{PORT}/client1_jwks",
            grant_types=["authorization_code", "refresh_token"],
        )
        app = app_of(made)
        protocol.sign_in(client, session, protocol.add_person(session))
        consent = protocol.authorize(
            client,
            app,
            scope="openid offline_access",
            code_challenge=None,
            code_challenge_method=None,
        )
        allowed = forms.allow(client, consent.location, "openid", "offline_access")
        code = protocol.code_of(client.get(allowed.location))
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        tokens = client.post("/connect/token", data={**form, **first.assertion(app)}).get_json()
        second = ClientKey("RS256", kid="second")
        pages["/client1_jwks"] = second.jwks
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        refreshed = client.post("/connect/token", data={**form, **second.assertion(app)})
        assert refreshed.status_code == 200, refreshed.get_data(as_text=True)
        assert refreshed.get_json()["id_token"]
