"""Clients that have keys: what they sign, assertions and authorization requests."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from idp.platform import clock
from tests.protocol import App

ISSUER = "http://127.0.0.1:8000"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def new_key(alg: str) -> Key:
    """Make a key for an algorithm."""
    if alg == "ES256":
        return ECKey.generate_key("P-256")
    return OKPKey.generate_key("Ed25519") if alg == "EdDSA" else RSAKey.generate_key(2048)


@dataclass(frozen=True)
class ClientKey:
    """A key of a client."""

    alg: str = "ES256"
    kid: str = "one"
    issuer: str = ISSUER
    key: Key = field(default=None, repr=False)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        """Make the key."""
        if self.key is None:
            object.__setattr__(self, "key", new_key(self.alg))

    @property
    def jwks(self) -> dict[str, Any]:
        """The key set that the client registers."""
        return {"keys": [{**self.key.as_dict(private=False), "kid": self.kid}]}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Sign claims; None leaves a member of the header out."""
        members = {"alg": self.alg, "kid": self.kid, **header}
        registry = JWSRegistry(algorithms=[self.alg])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # it warns of EdDSA
            return jwt.encode(
                {name: value for name, value in members.items() if value is not None},
                dict(claims),
                self.key,
                registry=registry,
            )

    def request(self, app: App, parameters: Mapping[str, Any], **claims: Any) -> str:
        """Sign an authorization request (RFC 9101); None leaves a claim out."""
        now = clock.timestamp()
        complete = {
            "iss": app.client_id,
            "aud": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            **parameters,
            **claims,
        }
        known = {name: value for name, value in complete.items() if value is not None}
        return self.sign(known, typ="oauth-authz-req+jwt")

    def assertion(self, app: App, **claims: Any) -> dict[str, str]:
        """Return the form members by which the client authenticates with a new assertion."""
        now = clock.timestamp()
        complete = {
            "iss": app.client_id,
            "sub": app.client_id,
            "aud": self.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + 60,
            **claims,
        }
        known = {name: value for name, value in complete.items() if value is not None}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.sign(known, typ="JWT"),
        }
