"""The public keys (RFC 7517)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse
from idp.platform.signing import signer

HEADERS = {"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300"}


def jwks(_request: ProtocolRequest, session: Session) -> ProtocolResponse:
    """Give the keys that tokens of every issuer here are signed with."""
    return ProtocolResponse(200, HEADERS, signer.jwks(session))
