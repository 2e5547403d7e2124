"""Shared secrets: client_secret_basic and client_secret_post (RFC 6749 2.3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from idp.directory.clients.snapshot import ClientView
from idp.directory.resources.snapshot import SecretView
from idp.oauth.client_auth import uses
from idp.oauth.client_auth.credentials import Credentials
from idp.oauth.request import ProtocolRequest
from idp.platform import clock
from idp.platform.runtime import Runtime
from idp.platform.storage import Storage

PURPOSE = "client secret"


async def matches(
    storage: Storage, _request: ProtocolRequest, client: ClientView, credentials: Credentials
) -> bool:
    """Return whether the shown secret is one of the client's that have not expired."""
    return is_one_of(storage.runtime, credentials.unverified_proof, client.secrets, uses.CLIENT)


async def is_public(
    _storage: Storage, _request: ProtocolRequest, _client: ClientView, _credentials: Credentials
) -> bool:
    """Return True: a public client proves nothing."""
    return True


def is_one_of(runtime: Runtime, secret: str, kept: Iterable[SecretView], kind: str) -> bool:
    """Compare a secret with stored ones, each in constant time, and note the one that is used."""
    for row in kept:
        is_valid = row.expires_at is None or row.expires_at > clock.now()
        if is_valid and runtime.keyring.mac_matches(PURPOSE, secret, row.value_hash):
            runtime.uses.note(kind, row.row_id)
            return True
    return False
