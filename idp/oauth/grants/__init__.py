"""One file per grant type of the token endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.directory.clients.view import ClientView
from idp.oauth.request import Parameters, ProtocolRequest
from idp.platform.storage import Storage


@dataclass(frozen=True)
class GrantRequest:
    """A token request of an authenticated client; only the grant's own parameters."""

    request: ProtocolRequest
    storage: Storage
    client: ClientView
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class GrantType:
    """A grant type: its name, the parameters it accepts, and the function that answers."""

    name: str
    parameters: frozenset[str]
    answer: Callable[[GrantRequest], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A token response (RFC 6749 5.1)."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: str = field(default="Bearer")

    def members(self) -> dict[str, Any]:
        """Give the members of the JSON answer; absent ones are left out."""
        members: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "scope": self.scope,
        }
        if self.refresh_token is not None:
            members["refresh_token"] = self.refresh_token
        if self.id_token is not None:
            members["id_token"] = self.id_token
        return members
