"""A protocol request as plain values; doubled and misplaced parameters are refused here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from idp.platform.errors import OAuthError, TooLarge
from idp.platform.issuer import Issuer
from idp.platform.translation import N_
from idp.platform.web import forms
from idp.platform.web.authorization import Credential, Evidence

if TYPE_CHECKING:
    from idp.oauth.declarations import Server

REPEATABLE = frozenset({"resource"})  # RFC 8707 2
LARGEST_JSON = 64 * 1024
"""Bytes of a body of JSON."""
DEEPEST_JSON = 16
MISSING = N_("Missing parameter")
DOUBLED = N_("Parameter given more than once")

# fmt: off
KNOWN = frozenset({
    "access_token", "acr_values", "api", "claims", "claims_locales", "client_assertion",
    "client_assertion_type", "client_id", "client_secret", "code", "code_challenge",
    "code_challenge_method", "code_verifier", "continue", "device_code", "display", "dpop_jkt",
    "grant_type",
    "id_token_hint", "login_hint", "logout_hint", "max_age", "nonce", "post_logout_redirect_uri",
    "prompt", "redirect_uri", "refresh_token", "registration", "request", "request_uri",
    "resource", "response_mode", "response_type", "scope", "state", "tenant", "token",
    "token_type_hint", "ui_locales",
})
# fmt: on
"""Every parameter of an endpoint here; the rest is ignored, wherever and however often it comes.

RFC 6749 3.1 and 3.2: unrecognized parameters are ignored.
"""

Pairs = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class ProtocolRequest:
    """What an endpoint needs to know of an HTTP request."""

    method: str
    path: str
    issuer: Issuer
    server: Server
    """What this server offers: endpoints, grants, proofs."""
    authorization: Credential | None = None
    """Header of that name."""
    accept: str = ""
    """Header of that name."""
    session_cookie: str | None = None
    """Value of the cookie that a person is signed in with."""
    query: Pairs = ()
    form: Pairs | None = None
    """None: the body is not a form."""
    content: bytes = b""
    """Body of a request that is no form."""
    content_type: str = ""
    """Header of that name."""
    remote_addr: str | None = None
    request_id: str = "-"
    proof: str | None = None
    """Header `DPoP`."""
    host_url: str = ""
    """Scheme and host that the request was sent to; known where there is a proof or `is_alias`, and
    where an endpoint has paths below it."""
    is_alias: bool = False
    """Whether it was sent to the host at which clients are asked for certificates."""
    certificate: bytes | None = None
    """Certificate of the client in DER, as a trusted proxy passed it on."""
    passed_on: Evidence | None = None
    """What a trusted proxy says of the request that it asks about; known where there is a proof."""
    _body: Parameters | None = field(default=None, init=False)

    def endpoint_url(self, path: str) -> str:
        """Return the absolute address of a path at this issuer."""
        return self.issuer.url + path

    def evidence(self) -> Evidence:
        """Return what the request shows of its sender."""
        addresses = (self.endpoint_url(self.path), self.host_url + self.path)
        return Evidence(self.proof, self.method, addresses, self.certificate)

    @property
    def body(self) -> Parameters:
        """The form parameters of a POST; a known one in the query is refused.

        RFC 6749 3.2: parameters sent without a value are treated as omitted, and none may repeat.
        """
        if self._body is None:
            self._body = self._read_body()
        return self._body

    def _read_body(self) -> Parameters:
        if self.form is None:
            message = "The body must be application/x-www-form-urlencoded"
            raise OAuthError(message)
        if self.query and any(name in KNOWN for name, _ in self.query):
            message = "Parameters must be in the body, not in the query"
            raise OAuthError(message)
        return Parameters(self.form)

    def json(self) -> dict[str, Any]:
        """Return the body as an object of JSON; one that is too large or too deep is refused.

        RFC 8259 4: a name that stands twice in an object means something else to every reader.
        """
        kind = self.content_type.partition(";")[0].strip().lower()
        if kind != "application/json":
            message = "The body must be application/json"
            raise OAuthError(message)
        if len(self.content) > LARGEST_JSON:
            message = f"The body exceeds {LARGEST_JSON} bytes"
            raise TooLarge(message)
        forms.check_json(self.content, DEEPEST_JSON)
        try:
            orjson.loads(self.content)  # strict about numbers, characters and what stands behind
            value = json.loads(self.content, object_pairs_hook=_members)
        except ValueError:
            message = "The body is not JSON"
            raise OAuthError(message) from None
        if not isinstance(value, dict):
            message = "The body must be a JSON object"
            raise OAuthError(message)
        return value

    @property
    def either(self) -> Parameters:
        """The parameters of an endpoint that takes GET and POST, never both mixed."""
        if self.method == "POST":
            return self.body
        return Parameters(self.query)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; one that names a member twice is refused."""
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        doubled = next(name for name, count in counts.items() if count > 1)
        message = f"Member given more than once: {doubled[:50]}"
        raise OAuthError(message)
    return members


class Parameters:
    """Request parameters, each known one at most once but for `resource`."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs: Pairs = tuple([pair for pair in pairs if pair[1] != ""])
        self._values = dict(self.pairs)
        if len(self._values) < len(self.pairs):
            self._refuse_doubles()

    def only(self, names: Collection[str]) -> Parameters:
        """Return the parameters of these names."""
        return Parameters([pair for pair in self.pairs if pair[0] in names])

    def _refuse_doubles(self) -> None:
        counts = Counter(name for name, _ in self.pairs if name in KNOWN)
        doubled = [name for name, count in counts.items() if count > 1 and name not in REPEATABLE]
        if doubled:
            # RFC 6749 3.1: request parameters must not be included more than once.
            message = f"{DOUBLED}: {doubled[0][:50]}"
            raise OAuthError(message)

    def get(self, name: str) -> str | None:
        """Return a parameter, None when absent or empty."""
        return self._values.get(name)

    def require(self, name: str) -> str:
        """Return a parameter, or refuse the request."""
        value = self._values.get(name)
        if value is None:
            message = f"{MISSING}: {name}"
            raise OAuthError(message)
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a repeatable parameter."""
        return tuple(value for key, value in self.pairs if key == name)
