"""The client of the FAPI 2.0 plans: it pushes its requests, and looks closely at every answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import jwt

from tests.certificates import Certificate
from tests.client_keys import ClientKey
from tests.conformance.browser import Arrival, Browser, Page, Person, Stop
from tests.conformance.combinations import Combination
from tests.conformance.provider import Provider
from tests.conformance.relying_party import check_date
from tests.protocol import CALLBACK, CHALLENGE, VERIFIER, App
from tests.provers import Prover

NAME = re.compile(r"urn:ietf:params:oauth:request_uri:\S{22,}")
REPEATED = ("response_type", "scope", "redirect_uri", "state", "nonce")
"""What the suite repeats beside the name of a pushed request, where it must be ignored."""


@dataclass
class Bank:
    """A client with a security profile, its keys, and the key that its tokens are bound to."""

    provider: Provider
    app: App
    key: ClientKey
    certificate: Certificate
    combination: Combination
    is_openid: bool = True
    signs: bool = False
    """Whether requests are signed, and answers asked for signed (Message Signing)."""
    redirect_uri: str = CALLBACK
    prover: Prover = field(default_factory=Prover)

    def __post_init__(self) -> None:
        """Make proofs for this provider."""
        self.prover.issuer = self.provider.url

    def fresh(self, *, is_openid: bool) -> Bank:
        """Return the same client with another key for its tokens."""
        return replace(self, is_openid=is_openid, prover=Prover())

    @property
    def issuer(self) -> str:
        """Issuer of the metadata."""
        return str(self.provider.metadata["issuer"])

    @property
    def scheme(self) -> str:
        """How its access tokens are presented."""
        return "Bearer" if self.combination.bound_to_certificate else "DPoP"

    def address(self, name: str) -> str:
        """Return an address of the metadata; of an alias where the client shows a certificate."""
        # RFC 8705 5
        metadata = self.provider.metadata
        aliases = metadata["mtls_endpoint_aliases"] if self.combination.shows_certificate else {}
        return str(aliases.get(name, metadata[name]))

    def parameters(self, **changes: Any) -> dict[str, Any]:
        """Return the parameters of a request with fresh state and nonce; None leaves one out."""
        complete = {
            "client_id": self.app.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "response_mode": "jwt" if self.signs else None,
            "scope": "openid profile" if self.is_openid else "profile",
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8) if self.is_openid else None,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in complete.items() if value is not None}

    def assertion(self, **claims: Any) -> dict[str, str]:
        """Authenticate."""
        return self.key.assertion(self.app, **claims)

    def authentication(self) -> dict[str, str]:
        """Return the form members by which the client authenticates."""
        by_certificate = self.combination.by_certificate
        return {"client_id": self.app.client_id} if by_certificate else self.assertion()

    def passed(self) -> dict[str, str]:
        """Return the header by which the proxy passes the certificate on."""
        return self.certificate.passed() if self.combination.shows_certificate else {}

    def ask(
        self,
        method: str,
        address: str,
        *,
        passed: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Send a request as the proxy does, also those to the host for certificates."""
        url, server = httpx.URL(address), httpx.URL(self.provider.url)
        shown = self.passed() if passed is None else passed
        complete = {"Host": url.netloc.decode(), **(headers or {}), **shown}
        url = url.copy_with(host=server.host)
        return self.provider.http.request(method, url, data=form, headers=complete)

    def send(
        self,
        address: str,
        form: Mapping[str, Any],
        *,
        assertion: Mapping[str, str] | None = None,
        **how: Any,
    ) -> httpx.Response:
        """Post a form as this client."""
        proven = self.authentication() if assertion is None else assertion
        return self.ask("POST", address, form={**proven, **form}, **how)

    def push(
        self,
        parameters: Mapping[str, Any],
        *,
        claims: Mapping[str, Any] | None = None,
        request: str | None = None,
        assertion: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **beside: str,
    ) -> httpx.Response:
        """Push a request; `claims` changes those of its request object."""
        form: Mapping[str, Any] = parameters
        if self.signs:
            request = request or self.key.request(self.app, parameters, **(claims or {}))
            form = {"client_id": self.app.client_id, "request": request}
        address = self.address("pushed_authorization_request_endpoint")
        return self.send(address, {**form, **beside}, assertion=assertion, headers=headers)

    def pushed(self, parameters: Mapping[str, Any], **how: Any) -> str:
        """Push a request, check the answer, and return the name of the request."""
        answer = self.push(parameters, **how)
        assert answer.status_code == 201, answer.text
        check_date(answer)
        assert answer.headers["Content-Type"] == "application/json"
        body = answer.json()
        assert 0 < body["expires_in"] < 600
        assert NAME.fullmatch(body["request_uri"])
        return str(body["request_uri"])

    def check_push_refused(self, answer: httpx.Response, *errors: str, status: int = 400) -> None:
        """Check an error of the endpoint for pushed requests."""
        assert answer.status_code == status, answer.text
        check_date(answer)
        assert answer.json()["error"] in errors
        assert "Location" not in answer.headers

    def open(self, browser: Browser, name: str, beside: Mapping[str, Any] | None = None) -> Stop:
        """Send the browser to the authorization endpoint with a pushed request."""
        repeated = {key: value for key, value in (beside or {}).items() if key in REPEATED}
        query = {"client_id": self.app.client_id, "request_uri": name, **repeated}
        return browser.open(self.address("authorization_endpoint"), query)

    def callback(self, stop: Stop) -> dict[str, str]:
        """Return what came back, once it is checked; signed answers are verified."""
        assert isinstance(stop, Arrival), stop
        assert stop.mode == "query"
        assert stop.address == str(httpx.URL(self.redirect_uri).copy_with(query=None))
        own = dict(httpx.URL(self.redirect_uri).params)
        assert own.items() <= stop.fields.items()
        fields = {name: value for name, value in stop.fields.items() if name not in own}
        if not self.signs:
            # RFC 9207 2.4
            assert fields.pop("iss") == self.issuer
            return fields
        assert fields.keys() == {"response"}
        claims = self.verify(fields["response"], "iss", "aud", "exp")
        return {name: str(claims[name]) for name in claims.keys() - {"iss", "aud", "exp"}}

    def verify(self, token: str, *required: str) -> dict[str, Any]:
        """Check a JWT of the provider; RS256 is none of the profile."""
        header = jwt.get_unverified_header(token)
        keys = self.provider.http.get(self.provider.metadata["jwks_uri"]).json()["keys"]
        (key,) = [key for key in keys if key["kid"] == header["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(key),
            algorithms=["PS256", "ES256", "EdDSA"],
            audience=self.app.client_id,
            issuer=self.issuer,
            options={"require": [*required]},
        )
        return claims

    def code(self, browser: Browser, person: Person, parameters: Mapping[str, Any]) -> str:
        """Go from a push to a code."""
        return self.code_of(browser, person, self.pushed(parameters), parameters)

    def code_of(
        self, browser: Browser, person: Person, name: str, parameters: Mapping[str, Any]
    ) -> str:
        """Go from a pushed request to a code."""
        fields = self.callback(browser.answer(self.open(browser, name, parameters), person))
        assert fields.keys() - {"state"} == {"code"}, fields
        assert fields.get("state") == parameters.get("state")
        return fields["code"]

    def proof(self, address: str) -> dict[str, str]:
        """Show the key that tokens are bound to; a certificate is on the connection."""
        is_bound_to_key = not self.combination.bound_to_certificate
        return self.prover.shows("POST", address) if is_bound_to_key else {}

    def redeem(
        self,
        code: str,
        *,
        assertion: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        passed: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """Redeem a code; None leaves a parameter out."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
            **changes,
        }
        known = {name: value for name, value in form.items() if value is not None}
        address = self.address("token_endpoint")
        shown = self.proof(address) if headers is None else headers
        return self.send(address, known, assertion=assertion, headers=shown, passed=passed)

    def refresh(self, token: str, **how: Any) -> httpx.Response:
        """Use a refresh token."""
        address = self.address("token_endpoint")
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return self.send(address, form, headers=self.proof(address), **how)

    def check_tokens(self, answer: httpx.Response, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Check a token response and its ID token."""
        assert answer.status_code == 200, answer.text
        check_date(answer)
        assert "no-store" in answer.headers["Cache-Control"]
        body: dict[str, Any] = answer.json()
        assert body["token_type"].lower() == self.scheme.lower()
        assert isinstance(body["expires_in"], int)
        assert ("id_token" in body) == self.is_openid
        if self.is_openid:
            identity = self.verify(body["id_token"], "iss", "sub", "aud", "exp", "iat")
            assert identity.get("nonce") == parameters.get("nonce")
        return body

    def userinfo(self, token: str, scheme: str | None = None, **how: Any) -> httpx.Response:
        """Use an access token at the resource of the plan."""
        address = self.address("userinfo_endpoint")
        is_bound_to_key = not self.combination.bound_to_certificate
        headers = self.prover.uses(token, "GET", address) if is_bound_to_key else {}
        headers["Authorization"] = f"{scheme or self.scheme} {token}"
        return self.ask("GET", address, headers=headers, **how)

    def check_resource(self, token: str, scheme: str | None = None) -> None:
        """Check that the access token opens the resource; userinfo is for OpenID Connect."""
        answer = self.userinfo(token, scheme)
        check_date(answer)
        assert answer.status_code == (200 if self.is_openid else 403), answer.text

    def complete(
        self, browser: Browser, person: Person, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Go through the whole flow."""
        answer = self.redeem(self.code(browser, person, parameters))
        tokens = self.check_tokens(answer, parameters)
        self.check_resource(tokens["access_token"])
        return tokens


Banks = dict[tuple[bool, Combination, str], Bank]
"""Clients by whether they sign, their combination and their number."""


def check_page(stop: Stop) -> None:
    """Check that the person sees an error and nothing is sent to any client."""
    assert isinstance(stop, Page), stop
    assert stop.status == 400
