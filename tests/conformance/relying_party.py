"""The relying party that certification plays, with the checks it makes in every module.

Authlib authenticates the client and validates ID tokens; PyJWT verifies their signatures.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
from authlib.oauth2 import ClientAuth
from authlib.oidc.core import CodeIDToken

from tests.conformance.browser import Arrival, Browser, Person, Stop
from tests.conformance.provider import Provider
from tests.protocol import CALLBACK, App

# RFC 6749 A.11, A.12, A.17
TOKEN_CHARACTERS = re.compile(r"[\x20-\x7e]+")
OTHER_CALLBACK = "https://app.example/other?dummy1=lorem&dummy2=ipsum"
REPEATED = ("client_id", "response_type", "scope", "redirect_uri")
"""What stands outside of a request object as well (OpenID Connect Core 6.1); the rest does not."""
INTERACTION_ERRORS = {
    "interaction_required",
    "login_required",
    "account_selection_required",
    "consent_required",
}


@dataclass(frozen=True)
class SignedIn:
    """What a completed sign-in gave; everything in it was checked."""

    callback: Mapping[str, str]
    tokens: Mapping[str, Any]
    identity: Mapping[str, Any]
    """Claims of the ID token."""
    userinfo: Mapping[str, Any]

    @property
    def access_token(self) -> str:
        """Access token."""
        return str(self.tokens["access_token"])

    @property
    def id_token(self) -> str:
        """ID token."""
        return str(self.tokens["id_token"])


@dataclass(frozen=True)
class RelyingParty:
    """A registered client that signs people in and looks closely at every answer."""

    provider: Provider
    app: App
    method: str = "client_secret_basic"
    mode: str = "query"
    redirect_uri: str = CALLBACK

    def parameters(self, **changes: Any) -> dict[str, str]:
        """Return the parameters of a request with fresh state and nonce; None leaves one out."""
        complete = {
            "client_id": self.app.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            # The default of the response type is not named.
            "response_mode": None if self.mode == "query" else self.mode,
            "scope": "openid",
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
            **changes,
        }
        return {name: value for name, value in complete.items() if value is not None}

    def by_object(self, parameters: Mapping[str, str], **outside: str) -> dict[str, str]:
        """Put parameters into an unsigned request object, as the certification does."""
        unsigned = jwt.encode(dict(parameters), "", algorithm="none")
        return {name: parameters[name] for name in REPEATED} | outside | {"request": unsigned}

    def authorize(self, browser: Browser, parameters: Mapping[str, str]) -> Stop:
        """Send the browser to the authorization endpoint."""
        return browser.open(self.provider.metadata["authorization_endpoint"], parameters)

    def sign_in(self, browser: Browser, person: Person, **changes: Any) -> SignedIn:
        """Go through the whole flow, answering what is asked."""
        parameters = self.parameters(**changes)
        return self.complete(browser, person, self.authorize(browser, parameters), parameters)

    def complete(
        self,
        browser: Browser,
        person: Person,
        stop: Stop,
        parameters: Mapping[str, str],
        **token_parameters: str,
    ) -> SignedIn:
        """Go on from wherever the browser stands to tokens and userinfo."""
        callback = self.check_callback(browser.answer(stop, person), parameters)
        answer = self.redeem(callback["code"], **token_parameters)
        tokens = self.check_tokens(answer)
        identity = self.check_id_token(tokens, parameters)
        userinfo = self.check_userinfo(self.userinfo(tokens["access_token"]), identity)
        return SignedIn(callback, tokens, identity, userinfo)

    def check_callback(self, stop: Stop, parameters: Mapping[str, str]) -> Mapping[str, str]:
        """Check a successful authorization response."""
        fields = self.check_arrival(stop)
        assert fields.keys() == {"code", "state", "iss"}, fields
        assert fields["state"] == parameters["state"]
        # RFC 9207 2.4
        assert self.provider.metadata["authorization_response_iss_parameter_supported"] is True
        assert fields["iss"] == self.provider.metadata["issuer"]
        assert TOKEN_CHARACTERS.fullmatch(fields["code"])
        return fields

    def check_arrival(self, stop: Stop) -> dict[str, str]:
        """Check where an answer came and how; return what is not the address's own query."""
        assert isinstance(stop, Arrival), stop
        assert self.mode in self.provider.metadata["response_modes_supported"]
        assert stop.mode == self.mode
        registered = httpx.URL(self.redirect_uri)
        assert stop.address == str(registered.copy_with(query=None))
        own = dict(registered.params)
        assert own.items() <= stop.query.items()
        if self.mode != "query":
            assert stop.query == own
            return stop.fields
        return {name: value for name, value in stop.fields.items() if name not in own}

    def check_refusal(self, stop: Stop, parameters: Mapping[str, str]) -> str:
        """Check an error sent to the redirect address; return its code."""
        fields = self.check_arrival(stop)
        assert fields.keys() <= {"error", "error_description", "error_uri", "state", "iss"}, fields
        assert fields.get("state") == parameters.get("state")
        assert fields["iss"] == self.provider.metadata["issuer"]
        assert TOKEN_CHARACTERS.fullmatch(fields["error_description"])
        return fields["error"]

    def token_request(self, **form: str) -> httpx.Response:
        """Call the token endpoint as this client."""
        endpoint = self.provider.metadata["token_endpoint"]
        plain = {"Content-Type": "application/x-www-form-urlencoded"}
        address, headers, body = ClientAuth(
            self.app.client_id, self.app.secret, self.method
        ).prepare("POST", endpoint, plain, urlencode(form))
        return self.provider.http.post(address, content=body, headers=headers)

    def redeem(self, code: str, **form: str) -> httpx.Response:
        """Redeem a code."""
        return self.token_request(
            grant_type="authorization_code", code=code, redirect_uri=self.redirect_uri, **form
        )

    def check_tokens(self, answer: httpx.Response) -> dict[str, Any]:
        """Check a token response (RFC 6749 5.1)."""
        assert answer.status_code == 200, answer.text
        check_date(answer)
        assert answer.headers["Content-Type"] == "application/json"
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["Pragma"] == "no-cache"
        body: dict[str, Any] = answer.json()
        assert body["token_type"].lower() == "bearer"
        assert isinstance(body["expires_in"], int)
        assert body["expires_in"] > 0
        assert TOKEN_CHARACTERS.fullmatch(body["access_token"])
        assert "openid" in body["scope"].split()
        return body

    def check_refused(self, answer: httpx.Response) -> str:
        """Check an error of the token endpoint (RFC 6749 5.2); return its code."""
        assert answer.status_code == 400, answer.text
        check_date(answer)
        assert answer.headers["Content-Type"] == "application/json"
        assert "no-store" in answer.headers["Cache-Control"]
        body = answer.json()
        assert body.keys() <= {"error", "error_description", "error_uri"}
        return str(body["error"])

    def verify(self, token: str) -> dict[str, Any]:
        """Check the signature by the key that the header names, out of the published ones."""
        header = jwt.get_unverified_header(token)
        keys = self.provider.http.get(self.provider.metadata["jwks_uri"]).json()["keys"]
        (key,) = [key for key in keys if key["kid"] == header["kid"]]
        assert header["alg"] == key["alg"]
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(key),
            algorithms=self.provider.metadata["id_token_signing_alg_values_supported"],
            audience=self.app.client_id,
            issuer=self.provider.metadata["issuer"],
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
        return claims

    def check_id_token(
        self, tokens: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> dict[str, Any]:
        """Check an ID token (OpenID Connect Core 3.1.3.7)."""
        claims = self.verify(tokens["id_token"])
        now = time.time()
        CodeIDToken(
            claims,
            jwt.get_unverified_header(tokens["id_token"]),
            params={
                "nonce": parameters.get("nonce"),
                "client_id": self.app.client_id,
                "access_token": tokens["access_token"],
            },
        ).validate()
        assert claims["aud"] == self.app.client_id
        assert abs(claims["iat"] - now) < 60
        assert now < claims["exp"] < now + 86_400
        assert claims.get("nonce") == parameters.get("nonce")
        assert claims["sub"].isascii()
        assert 0 < len(claims["sub"]) <= 255
        assert isinstance(claims["auth_time"], int)
        assert claims["auth_time"] <= claims["iat"]
        assert isinstance(claims["acr"], str)
        assert "at_hash" in claims  # Authlib has compared it
        return claims

    def userinfo(self, access_token: str) -> httpx.Response:
        """Ask who signed in."""
        header = {"Authorization": f"Bearer {access_token}"}
        return self.provider.http.get(self.provider.metadata["userinfo_endpoint"], headers=header)

    def check_userinfo(self, answer: httpx.Response, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Check a userinfo answer (OpenID Connect Core 5.3.2)."""
        assert answer.status_code == 200, answer.text
        check_date(answer)
        assert answer.headers["Content-Type"] == "application/json"
        claims: dict[str, Any] = answer.json()
        assert claims["sub"] == identity["sub"]
        # OpenID Connect Core 5.3.2: claims without a value are left out.
        assert None not in claims.values()
        return claims


def check_date(answer: httpx.Response) -> None:
    """Check that an answer says when it was made (RFC 9110 6.6.1)."""
    made = parsedate_to_datetime(answer.headers["Date"])
    assert abs(made.timestamp() - time.time()) < 60
