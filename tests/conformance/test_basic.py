"""Basic OP: response type `code`, a client with a secret and without PKCE."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import select

from idp.oauth.models import AuthorizationCode, Grant
from idp.platform.errors import Unprocessable
from idp.platform.secrets import digest
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.conformance.browser import Arrival, Browser, Page, Person
from tests.conformance.provider import Provider
from tests.conformance.relying_party import (
    INTERACTION_ERRORS,
    OTHER_CALLBACK,
    TOKEN_CHARACTERS,
    RelyingParty,
    SignedIn,
)
from tests.protocol import CALLBACK, CHALLENGE, VERIFIER

CLAIMS_OF_SCOPES: Mapping[str, frozenset[str]] = {
    # OpenID Connect Core 5.4
    "profile": frozenset(
        {
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        }
    ),
    "email": frozenset({"email", "email_verified"}),
    "address": frozenset({"address"}),
    "phone": frozenset({"phone_number", "phone_number_verified"}),
}


def check_scopes(result: SignedIn, *scopes: str) -> None:
    """Check that userinfo holds exactly what the scopes release, and the ID token none of it."""
    expected = frozenset().union(*(CLAIMS_OF_SCOPES[scope] for scope in scopes))
    assert result.userinfo.keys() - {"sub"} == expected
    # OpenID Connect Core 5.4: with an access token they are delivered by userinfo.
    every_claim = frozenset().union(*CLAIMS_OF_SCOPES.values())
    assert not every_claim & result.identity.keys()
    assert set(result.tokens["scope"].split()) == {"openid", *scopes}
    for name, value in result.userinfo.items():
        if name in {"email_verified", "phone_number_verified"}:
            assert value is True
        elif name == "updated_at":
            assert isinstance(value, int)
        elif name == "address":
            assert isinstance(value["formatted"], str)
        else:
            assert isinstance(value, str)


def age_sign_in(provider: Provider, person: Person, seconds: int) -> None:
    """Make a person's sign-ins older."""
    with provider.sessions() as session:
        for row in session.scalars(
            select(BrowserSession).where(BrowserSession.user_id == person.id)
        ):
            row.auth_time -= timedelta(seconds=seconds)
            row.created_at -= timedelta(seconds=seconds)
        session.commit()


def age_code(provider: Provider, code: str, seconds: int) -> None:
    """Make a code and its grant older."""
    past = timedelta(seconds=seconds)
    with provider.sessions() as session:
        row = session.scalars(
            select(AuthorizationCode).where(AuthorizationCode.code_hash == digest(code))
        ).one()
        row.expires_at -= past
        assert row.used_at is not None
        row.used_at -= past
        grant = session.get_one(Grant, row.grant_id)
        grant.created_at -= past
        grant.auth_time -= past
        session.commit()


def age_refresh_token(provider: Provider, token: str, seconds: int) -> None:
    """Move the first use of a refresh token into the past."""
    with provider.sessions() as session:
        family = protocol.family_of(session, token)
        assert family.rotated_at is not None
        family.rotated_at -= timedelta(seconds=seconds)
        session.commit()


def sign_in_twice(
    party: RelyingParty, browser: Browser, person: Person, **second: str
) -> tuple[SignedIn, SignedIn]:
    """Sign in with an older sign-in at the provider, then once more with other parameters."""
    party.sign_in(browser, person)
    age_sign_in(party.provider, person, 10)
    first = party.sign_in(browser, person)
    browser.seen.clear()
    again = party.sign_in(browser, person, **second)
    assert again.identity["sub"] == first.identity["sub"]
    assert again.identity["iat"] >= first.identity["iat"]
    return first, again


def test_oidcc_server(party: RelyingParty, browser: Browser, person: Person) -> None:
    result = party.sign_in(browser, person)
    assert browser.seen == ["/login"]
    assert result.identity["sub"] == str(person.id)


def test_oidcc_response_type_missing(party: RelyingParty, browser: Browser) -> None:
    parameters = party.parameters(response_type=None)
    assert party.check_refusal(party.authorize(browser, parameters), parameters) == (
        "invalid_request"
    )


def test_oidcc_idtoken_signature(party: RelyingParty, browser: Browser, person: Person) -> None:
    result = party.sign_in(browser, person)
    header = jwt.get_unverified_header(result.id_token)
    assert header["alg"] == "RS256"
    assert header["kid"]
    head, claims, signature = result.id_token.split(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    with pytest.raises(jwt.InvalidSignatureError):
        party.verify(f"{head}.{claims}.{flipped}")


def test_oidcc_idtoken_unsigned(party: RelyingParty, provider: Provider) -> None:
    """The module is for providers that offer `none`; this one does not."""
    assert "none" not in provider.metadata["id_token_signing_alg_values_supported"]
    with provider.sessions() as session, pytest.raises(Unprocessable):
        protocol.register(session, "unsigned", id_token_signed_response_alg="none")


def test_oidcc_userinfo_get(party: RelyingParty, browser: Browser, person: Person) -> None:
    result = party.sign_in(browser, person)
    party.check_userinfo(party.userinfo(result.access_token), result.identity)


def test_oidcc_userinfo_post_header(party: RelyingParty, browser: Browser, person: Person) -> None:
    result = party.sign_in(browser, person)
    answer = party.provider.http.post(
        party.provider.metadata["userinfo_endpoint"],
        headers={"Authorization": f"Bearer {result.access_token}"},
    )
    party.check_userinfo(answer, result.identity)


def test_oidcc_userinfo_post_body(party: RelyingParty, browser: Browser, person: Person) -> None:
    result = party.sign_in(browser, person)
    answer = party.provider.http.post(
        party.provider.metadata["userinfo_endpoint"], data={"access_token": result.access_token}
    )
    party.check_userinfo(answer, result.identity)


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(
    party: RelyingParty, browser: Browser, person: Person
) -> None:
    result = party.sign_in(browser, person, nonce=None)
    assert "nonce" not in result.identity


def test_oidcc_scope_profile(party: RelyingParty, browser: Browser, person: Person) -> None:
    check_scopes(party.sign_in(browser, person, scope="openid profile"), "profile")


def test_oidcc_scope_email(party: RelyingParty, browser: Browser, person: Person) -> None:
    check_scopes(party.sign_in(browser, person, scope="openid email"), "email")


def test_oidcc_scope_address(party: RelyingParty, browser: Browser, person: Person) -> None:
    check_scopes(party.sign_in(browser, person, scope="openid address"), "address")


def test_oidcc_scope_phone(party: RelyingParty, browser: Browser, person: Person) -> None:
    check_scopes(party.sign_in(browser, person, scope="openid phone"), "phone")


def test_oidcc_scope_all(party: RelyingParty, browser: Browser, person: Person) -> None:
    scopes = ("profile", "email", "address", "phone")
    result = party.sign_in(browser, person, scope=f"openid {' '.join(scopes)}")
    check_scopes(result, *scopes)
    assert result.userinfo.keys() <= set(party.provider.metadata["claims_supported"])


def test_oidcc_alternate_happy_flow(party: RelyingParty, browser: Browser, person: Person) -> None:
    """The same request with scopes and parameters in reverse order."""
    parameters = dict(reversed(party.parameters(scope="email openid").items()))
    stop = party.authorize(browser, parameters)
    check_scopes(party.complete(browser, person, stop, parameters), "email")


def test_oidcc_display_page(party: RelyingParty, browser: Browser, person: Person) -> None:
    party.sign_in(browser, person, display="page")
    assert browser.seen == ["/login"]


def test_oidcc_display_popup(party: RelyingParty, browser: Browser, person: Person) -> None:
    party.sign_in(browser, person, display="popup")
    assert browser.seen == ["/login"]


def test_oidcc_prompt_login(party: RelyingParty, browser: Browser, person: Person) -> None:
    first, again = sign_in_twice(party, browser, person, prompt="login")
    assert browser.seen == ["/login"]
    assert again.identity["auth_time"] > first.identity["auth_time"]


def test_oidcc_prompt_none_not_logged_in(party: RelyingParty, browser: Browser) -> None:
    parameters = party.parameters(prompt="none")
    code = party.check_refusal(party.authorize(browser, parameters), parameters)
    assert code in INTERACTION_ERRORS
    assert code == "login_required"
    assert browser.seen == []


def test_oidcc_prompt_none_logged_in(party: RelyingParty, browser: Browser, person: Person) -> None:
    first, again = sign_in_twice(party, browser, person, prompt="none")
    assert browser.seen == []
    assert again.identity["auth_time"] == first.identity["auth_time"]


def test_oidcc_max_age_1(party: RelyingParty, browser: Browser, person: Person) -> None:
    first, again = sign_in_twice(party, browser, person, max_age="1")
    assert browser.seen == ["/login"]
    assert again.identity["auth_time"] > first.identity["auth_time"]


def test_oidcc_max_age_10000(party: RelyingParty, browser: Browser, person: Person) -> None:
    first, again = sign_in_twice(party, browser, person, max_age="10000")
    assert browser.seen == []
    assert again.identity["auth_time"] == first.identity["auth_time"]


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(
    party: RelyingParty, browser: Browser, person: Person
) -> None:
    party.sign_in(browser, person, extra="foobar")


def test_oidcc_id_token_hint(party: RelyingParty, browser: Browser, person: Person) -> None:
    first = party.sign_in(browser, person)
    browser.seen.clear()
    again = party.sign_in(browser, person, prompt="none", id_token_hint=first.id_token)
    assert browser.seen == []
    assert again.identity["sub"] == first.identity["sub"]


def test_oidcc_login_hint(party: RelyingParty, browser: Browser, person: Person) -> None:
    parameters = party.parameters(login_hint="buffy@op.example")
    page = party.authorize(browser, parameters)
    assert isinstance(page, Page)
    assert page.form.value("login") == "buffy@op.example"
    party.complete(browser, person, page, parameters)


def test_oidcc_ui_locales(party: RelyingParty, browser: Browser, person: Person) -> None:
    party.sign_in(browser, person, ui_locales="se")


def test_oidcc_claims_locales(party: RelyingParty, browser: Browser, person: Person) -> None:
    party.sign_in(browser, person, claims_locales="se")


def test_oidcc_ensure_request_with_acr_values_succeeds(
    party: RelyingParty, browser: Browser, person: Person
) -> None:
    offered = party.provider.metadata["acr_values_supported"]
    result = party.sign_in(browser, person, acr_values=" ".join(offered))
    assert result.identity["acr"] in offered
    assert party.sign_in(browser, person, acr_values="1 2").identity["acr"] in offered


def test_oidcc_codereuse(party: RelyingParty, browser: Browser, person: Person) -> None:
    check_reuse_refused(party, party.sign_in(browser, person))
    later = party.sign_in(browser, person)
    age_code(party.provider, later.callback["code"], 1)
    check_reuse_refused(party, later)


def test_oidcc_codereuse_30seconds(party: RelyingParty, browser: Browser, person: Person) -> None:
    result = party.sign_in(browser, person)
    age_code(party.provider, result.callback["code"], 30)
    check_reuse_refused(party, result)


def check_reuse_refused(party: RelyingParty, result: SignedIn) -> None:
    """Redeem a code again: refused, and the token of the first time dies (RFC 6749 4.1.2)."""
    assert party.check_refused(party.redeem(result.callback["code"])) == "invalid_grant"
    refused = party.userinfo(result.access_token)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_oidcc_ensure_registered_redirect_uri(party: RelyingParty, browser: Browser) -> None:
    parameters = party.parameters(redirect_uri=f"{CALLBACK}/unregistered")
    check_address_refused(party.authorize(browser, parameters))


def check_address_refused(stop: Page | Arrival) -> None:
    """Check that the person is told, and sent nowhere."""
    assert isinstance(stop, Page)
    assert stop.status == 400
    assert "registered. Tell the people who run it" in stop.text
    assert "Location" not in stop.headers
    assert "https://app.example" not in stop.text


def test_oidcc_ensure_post_request_succeeds(
    party: RelyingParty, browser: Browser, person: Person
) -> None:
    parameters = party.parameters()
    stop = browser.post(party.provider.metadata["authorization_endpoint"], parameters)
    party.complete(browser, person, stop, parameters)


def test_oidcc_server_client_secret_post(
    party: RelyingParty, browser: Browser, person: Person
) -> None:
    by_post = replace(party, method="client_secret_post")
    by_post.sign_in(browser, person)


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    party: RelyingParty, browser: Browser
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/request.jwt"
        outside = party.by_object(party.parameters(), request_uri=address)
        del outside["request"]
        # The rest stands where nobody looked, so the answer comes by the default mode.
        plain = replace(party, mode="query")
        code = plain.check_refusal(party.authorize(browser, outside), outside)
        assert code == "request_uri_not_supported"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()  # nobody came to fetch it


def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
    party: RelyingParty, browser: Browser
) -> None:
    """The suite skips it where unsigned objects are not listed; they are refused."""
    assert "none" not in party.provider.metadata["request_object_signing_alg_values_supported"]
    stop = party.authorize(browser, party.by_object(party.parameters()))
    assert isinstance(stop, Page)
    assert stop.status == 400


def test_oidcc_claims_essential(party: RelyingParty, browser: Browser, person: Person) -> None:
    requested: dict[str, Any] = {"userinfo": {"name": {"essential": True}}}
    result = party.sign_in(browser, person, claims=json.dumps(requested))
    assert result.userinfo.keys() == {"sub", "name"}


def test_oidcc_ensure_request_object_with_redirect_uri(
    party: RelyingParty, browser: Browser
) -> None:
    """The object, which is not signed, names the registered address, the parameter another one."""
    parameters = party.parameters()
    outside = party.by_object(parameters, redirect_uri=f"{CALLBACK}_invalid")
    stop = party.authorize(browser, outside)
    assert isinstance(stop, Page)
    assert stop.status == 400


def test_oidcc_refresh_token(
    party: RelyingParty, other_party: RelyingParty, browser: Browser, person: Person
) -> None:
    assert "refresh_token" in party.provider.metadata["grant_types_supported"]
    offline = {"scope": "openid offline_access", "prompt": "consent"}
    first = party.sign_in(browser, person, **offline)
    assert browser.seen == ["/login", "/consent"]
    token = first.tokens["refresh_token"]
    assert TOKEN_CHARACTERS.fullmatch(token)

    # The first client names the scopes of its first request again (RFC 6749 6).
    tokens = party.check_tokens(
        party.token_request(grant_type="refresh_token", refresh_token=token, scope=offline["scope"])
    )
    assert tokens["access_token"] != first.access_token
    identity = party.check_id_token(tokens, {})
    # OpenID Connect Core 12.2
    assert identity["iat"] >= first.identity["iat"]
    for name in ("iss", "sub", "aud", "auth_time"):
        assert identity[name] == first.identity[name]
    party.check_userinfo(party.userinfo(tokens["access_token"]), identity)

    # The same token again, exactly thirty seconds after its first use.
    age_refresh_token(party.provider, token, 30)
    again = party.token_request(grant_type="refresh_token", refresh_token=token)
    assert party.check_tokens(again)["refresh_token"] == tokens["refresh_token"]

    second = other_party.sign_in(browser, person, nonce=secrets.token_urlsafe(32), **offline)
    renewed = other_party.check_tokens(
        other_party.token_request(
            grant_type="refresh_token", refresh_token=second.tokens["refresh_token"]
        )
    )
    other_party.check_id_token(renewed, {})
    stolen = party.token_request(
        grant_type="refresh_token",
        refresh_token=renewed["refresh_token"],
        scope=offline["scope"],
    )
    assert party.check_refused(stolen) == "invalid_grant"


def test_oidcc_redirect_uri_query_OK(  # noqa: N802 - as the certification spells it
    other_party: RelyingParty, browser: Browser, person: Person
) -> None:
    """The address has a query of its own, which comes back with every answer."""
    other_party.sign_in(browser, person)
    parameters = other_party.parameters(response_type=None)
    stop = other_party.authorize(browser, parameters)
    assert other_party.check_refusal(stop, parameters) == "invalid_request"
    for changed in ("dummy1=lorem", "dummy1=lorem&dummy2=other", "dummy1=lorem&dummy2=ipsum&x=1"):
        address = f"{OTHER_CALLBACK.partition('?')[0]}?{changed}"
        wrong = other_party.authorize(browser, other_party.parameters(redirect_uri=address))
        check_address_refused(wrong)


def test_oidcc_ensure_request_with_valid_pkce_succeeds(
    party: RelyingParty, browser: Browser, person: Person
) -> None:
    parameters = party.parameters(code_challenge=CHALLENGE, code_challenge_method="S256")
    stop = party.authorize(browser, parameters)
    party.complete(browser, person, stop, parameters, code_verifier=VERIFIER)
