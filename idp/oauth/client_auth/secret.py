"""Shared secrets: client_secret_basic and client_secret_post (RFC 6749 2.3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from idp.directory.clients.snapshot import ClientView
from idp.oauth.client_auth.credentials import Credentials
from idp.oauth.request import ProtocolRequest
from idp.platform import clock
from idp.platform.secrets import Keyring
from idp.platform.storage import Storage

PURPOSE = "client secret"


async def matches(
    storage: Storage, _request: ProtocolRequest, client: ClientView, credentials: Credentials
) -> bool:
    """Return whether the shown secret is one of the client's that have not expired."""
    kept = ((row.value_hash, row.expires_at) for row in client.secrets)
    return is_one_of(storage.runtime.keyring, credentials.unverified_proof, kept)


async def is_public(
    _storage: Storage, _request: ProtocolRequest, _client: ClientView, _credentials: Credentials
) -> bool:
    """Return True: a public client proves nothing."""
    return True


def is_one_of(keyring: Keyring, secret: str, kept: Iterable[tuple[str, datetime | None]]) -> bool:
    """Compare a secret with stored (hash, expiry) pairs, each in constant time."""
    for value_hash, expires_at in kept:
        is_valid = expires_at is None or expires_at > clock.now()
        if is_valid and keyring.mac_matches(PURPOSE, secret, value_hash):
            return True
    return False
