"""The token endpoint (RFC 6749 3.2)."""

from __future__ import annotations

from idp.directory.clients.snapshot import ClientView
from idp.oauth import client_auth
from idp.oauth.grants import GrantRequest, GrantType
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse, json_response
from idp.platform.errors import OAuthError
from idp.platform.metrics.declarations import TOKENS
from idp.platform.storage import Storage


async def token(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Authenticate the client, then let the grant answer; it sees its own parameters only."""
    client = await client_auth.authenticate(storage, request)
    grant = find_grant(request, client)
    own = request.body.only(grant.parameters)
    answer = await grant.answer(GrantRequest(request, storage, client, own))
    counts = storage.runtime.counts
    counts.add(TOKENS, grant.name, "reference" if client.access_token_is_reference else "jwt")
    if "refresh_token" in answer:
        counts.add(TOKENS, grant.name, "refresh")
    return json_response(answer)


def find_grant(request: ProtocolRequest, client: ClientView) -> GrantType:
    """Return the grant type that a request names, if the client may use it."""
    name = request.body.require("grant_type")
    grant = request.server.grants.get(name)
    if grant is None:
        message = "This grant type is not supported"
        raise OAuthError(message, code="unsupported_grant_type")
    if name not in client.grant_types:
        message = f"The client may not use {name}"
        raise OAuthError(message, code="unauthorized_client")
    return grant
