"""Shared secrets: client_secret_basic and client_secret_post (RFC 6749 2.3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from idp.directory.clients.view import ClientView
from idp.oauth.client_auth.credentials import Credentials
from idp.oauth.request import ProtocolRequest
from idp.platform import clock, runtime

PURPOSE = "client secret"


def matches(
    session: Session, _request: ProtocolRequest, client: ClientView, credentials: Credentials
) -> bool:
    """Whether the shown secret is one of the client's that have not expired."""
    kept = ((row.value_hash, row.expires_at) for row in client.secrets)
    return is_one_of(session, credentials.unverified_proof, kept)


def is_one_of(session: Session, secret: str, kept: Iterable[tuple[str, datetime | None]]) -> bool:
    """Compare a secret with stored (hash, expiry) pairs, each in constant time."""
    keyring = runtime.of(session).keyring
    now = clock.now()
    return any(
        keyring.mac_matches(PURPOSE, secret, value_hash)
        for value_hash, expires_at in kept
        if expires_at is None or expires_at > now
    )
