"""One file per grant type of the token endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from idp.directory.clients.snapshot import ClientView
from idp.oauth.dpop.proofs import Proof
from idp.oauth.holder import NO_HOLDER, Holder
from idp.oauth.request import Parameters, ProtocolRequest
from idp.platform.storage import Storage


@dataclass(slots=True)
class GrantRequest:
    """A token request of an authenticated client; only the grant's own parameters."""

    request: ProtocolRequest
    storage: Storage
    client: ClientView
    parameters: Parameters
    holder: Holder = NO_HOLDER
    """Whom access tokens are for."""
    proof: Proof | None = None
    """What the request proves it by; a change is written with its use (`dpop.once`)."""


@dataclass(frozen=True, slots=True)
class GrantType:
    """A grant type: its name, the parameters it accepts, and the function that answers."""

    name: str
    parameters: frozenset[str]
    answer: Callable[[GrantRequest], Awaitable[Mapping[str, Any]]]


def token_answer(
    access_token: str,
    holder: Holder,
    expires_in: int,
    scope: str,
    refresh_token: str | None = None,
    id_token: str | None = None,
) -> dict[str, Any]:
    """Return the members of a token response (RFC 6749 5.1); absent ones are left out."""
    members: dict[str, Any] = {
        "access_token": access_token,
        "token_type": holder.token_type,
        "expires_in": expires_in,
        "scope": scope,
    }
    if refresh_token is not None:
        members["refresh_token"] = refresh_token
    if id_token is not None:
        members["id_token"] = id_token
    return members
