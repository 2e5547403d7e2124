"""An authorization request once it is proven, and what was approved of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from idp.directory.clients.snapshot import ClientView
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.levels import LevelRequest
from idp.oauth.checks.prompt import ClaimsRequest
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.response import FormPost, ProtocolResponse, redirect, with_query
from idp.oauth.visitor import SignedIn
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer

ResponseMode = Literal["query", "fragment", "form_post"]

# RFC 6749 4.1.2.1: the characters that error_description may hold.
_DISALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """A proven place to send the answer to, whatever it is."""

    uri: str
    mode: ResponseMode
    state: str | None
    issuer: Issuer

    def send(self, fields: dict[str, str]) -> ProtocolResponse | FormPost:
        """Send fields to the client with `state` and `iss` (RFC 9207)."""
        if self.state is not None:
            fields["state"] = self.state
        fields["iss"] = self.issuer.url
        if self.mode == "form_post":
            return FormPost(self.uri, fields)
        if self.mode == "fragment":
            return redirect(f"{self.uri}#{urlencode(fields)}")
        return redirect(with_query(self.uri, fields))

    def refuse(self, error: OAuthError) -> ProtocolResponse | FormPost:
        """Send a refusal to the client (RFC 6749 4.1.2.1)."""
        return self.send(
            {"error": error.code, "error_description": _DISALLOWED.sub("?", error.detail)}
        )


@dataclass(frozen=True, slots=True)
class ValidatedRequest:
    """An authorization request that may be answered."""

    client: ClientView
    back: ReturnAddress
    scopes: ValidatedScopes
    code_challenge: str | None
    nonce: str | None
    prompt: frozenset[str]
    max_age: int | None
    login_hint: str | None
    hinted_subject: str | None
    claims: ClaimsRequest
    tenant_id: int | None
    resources: tuple[str, ...]
    levels: LevelRequest

    @property
    def consent_scopes(self) -> tuple[str, ...]:
        """Scopes to be consented to, those that cover claims asked for by name included."""
        return scopes.to_consent(self.client, self.scopes.names, self.claims.names)


@dataclass(frozen=True, slots=True)
class Approved:
    """Everything that a grant is made of."""

    visitor: SignedIn
    tenant_id: int
    scopes: ValidatedScopes
    consented: frozenset[str] | None
    """Scopes that the person ticked; None: nothing was held back."""
    is_remembered: bool = False
    """Whether the person's answer counts for later requests too."""
