"""Tokens checked with another JOSE library than the one they were made with: PyJWT."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import jwt
import pytest

from tests import protocol
from tests.conformance.browser import Browser, Person
from tests.conformance.provider import Provider
from tests.conformance.relying_party import RelyingParty

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


@pytest.fixture(scope="module")
def keys(provider: Provider) -> jwt.PyJWKClient:
    """Return PyJWT's own client of the published keys."""
    return jwt.PyJWKClient(provider.metadata["jwks_uri"])


def verify(
    keys: jwt.PyJWKClient, token: str, alg: str, audience: str, issuer: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that must be signed by one algorithm."""
    key = keys.get_signing_key_from_jwt(token)
    content = jwt.decode_complete(token, key, algorithms=[alg], audience=audience, issuer=issuer)
    assert content["header"]["alg"] == alg
    return content["header"], content["payload"]


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_algorithm_verifies_with_pyjwt(
    provider: Provider, keys: jwt.PyJWKClient, browser: Browser, person: Person, alg: str
) -> None:
    api, name = f"api-{alg.lower()}", f"web-{alg.lower()}"
    with provider.sessions() as session:
        protocol.add_api(session, api, (f"{api}.use",), properties={"signing_alg": alg})
        app = protocol.register(
            session,
            name,
            scopes=("openid", f"{api}.use"),
            require_pkce=False,
            id_token_signed_response_alg=alg,
            userinfo_signed_response_alg=alg,
            introspection_signed_response_alg=alg,
        )
    party = RelyingParty(provider, app)
    parameters = party.parameters(scope=f"openid {api}.use")
    stop = browser.answer(party.authorize(browser, parameters), person)
    callback = party.check_callback(stop, parameters)
    tokens = party.check_tokens(party.redeem(callback["code"]))
    access_token = tokens["access_token"]

    header, claims = verify(keys, access_token, alg, api, provider.url)
    assert header["typ"] == "at+jwt"
    assert claims["sub"] == str(person.id)
    header, claims = verify(keys, tokens["id_token"], alg, name, provider.url)
    assert claims["nonce"] == parameters["nonce"]
    # OpenID Connect Core 3.1.3.6; Ed25519 signs with SHA-512.
    digest = (hashlib.sha512 if alg == "EdDSA" else hashlib.sha256)(access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    assert claims["at_hash"] == half

    answer = party.userinfo(access_token)
    assert answer.headers["Content-Type"] == "application/jwt"
    _, claims = verify(keys, answer.text, alg, name, provider.url)
    assert claims["sub"] == str(person.id)

    answer = provider.http.post(
        provider.metadata["introspection_endpoint"],
        data={"token": access_token},
        headers=app.basic | {"Accept": "application/token-introspection+jwt"},
    )
    assert answer.headers["Content-Type"] == "application/token-introspection+jwt"
    header, claims = verify(keys, answer.text, alg, name, provider.url)
    assert header["typ"] == "token-introspection+jwt"
    assert claims["token_introspection"]["active"] is True


def test_a_token_signed_by_one_algorithm_is_refused_as_another(
    provider: Provider, keys: jwt.PyJWKClient, browser: Browser, person: Person
) -> None:
    with provider.sessions() as session:
        app = protocol.register(session, "strict", require_pkce=False)
    token = RelyingParty(provider, app).sign_in(browser, person).id_token
    assert verify(keys, token, "RS256", "strict", provider.url)
    with pytest.raises(jwt.InvalidAlgorithmError):
        verify(keys, token, "PS256", "strict", provider.url)
    with pytest.raises(jwt.InvalidAudienceError):
        verify(keys, token, "RS256", "somebody else", provider.url)
    with pytest.raises(jwt.InvalidIssuerError):
        verify(keys, token, "RS256", "strict", "https://elsewhere.example")
