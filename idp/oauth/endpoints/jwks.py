"""The public keys (RFC 7517)."""

from __future__ import annotations

from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse
from idp.platform.signing import signer
from idp.platform.storage import Storage

HEADERS = {"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300"}


async def jwks(_request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Return the keys that tokens of every issuer here are signed with."""
    keys = await storage.look_up(signer.keys)
    return ProtocolResponse(200, HEADERS, keys.jwks)
