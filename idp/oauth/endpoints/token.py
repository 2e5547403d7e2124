"""The token endpoint (RFC 6749 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from idp.oauth import client_auth
from idp.oauth.grants import GrantRequest, GrantType, authorization_code, client_credentials
from idp.oauth.grants import refresh_token as refresh
from idp.oauth.request import Parameters, ProtocolRequest
from idp.oauth.response import ProtocolResponse, json_response
from idp.platform.errors import OAuthError

GRANTS: Mapping[str, GrantType] = {
    grant.name: grant
    for grant in (authorization_code.GRANT, client_credentials.GRANT, refresh.GRANT)
}


def token(request: ProtocolRequest, session: Session) -> ProtocolResponse:
    """Authenticate the client, then let the grant answer; it sees its own parameters only."""
    client = client_auth.authenticate(session, request)
    name = request.body.require("grant_type")
    grant = GRANTS.get(name)
    if grant is None:
        message = "This grant type is not supported"
        raise OAuthError(message, code="unsupported_grant_type")
    if name not in client.grant_types:
        message = f"The client may not use {name}"
        raise OAuthError(message, code="unauthorized_client")
    own = Parameters(pair for pair in request.body.pairs if pair[0] in grant.parameters)
    return json_response(grant.answer(GrantRequest(request, session, client, own)))
