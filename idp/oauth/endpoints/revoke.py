"""Token revocation (RFC 7009)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.clients.view import ClientView
from idp.oauth import client_auth, refresh_tokens, tokens
from idp.oauth.refresh_rules import Outcome
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import InvalidToken


def revoke(request: ProtocolRequest, session: Session) -> ProtocolResponse:
    """End a token of the calling client; unknown and foreign ones change nothing.

    RFC 7009 2.1: with a refresh token all access tokens of its grant end.
    """
    client = client_auth.authenticate(session, request)
    token = request.body.require("token")
    if not _revoke_refresh_token(session, client, token):
        _revoke_access_token(session, request, client, token)
    session.commit()
    return ProtocolResponse(200, NO_STORE)


def _revoke_refresh_token(session: Session, client: ClientView, unverified_token: str) -> bool:
    found = refresh_tokens.find(session, unverified_token)
    if found is None:
        return False
    refresh, grant, _ = found
    # Also a spent or expired one ends its grant.
    if grant.client_id != client.row_id or refresh.decide(client) is Outcome.UNKNOWN:
        return False
    if tokens.revoke_grant(session, grant.id, "revoked by the client"):
        audit.record(
            session,
            Tag.GRANT_REVOKED,
            user_id=grant.user_id,
            client_id=client.client_id,
            tenant_id=grant.tenant_id,
            target=f"grant:{grant.id}",
        )
    return True


def _revoke_access_token(
    session: Session, request: ProtocolRequest, client: ClientView, unverified_token: str
) -> None:
    try:
        token = tokens.read_issued(session, request.issuer, unverified_token)
        is_machine = tokens.grant_id_of(session, token.claims) is None
    except InvalidToken:
        return
    if token.client.row_id != client.row_id:
        return
    tokens.revoke_access_token(session, token)
    audit.record(
        session,
        Tag.TOKEN_REVOKED,
        user_id=None if is_machine else int(token.claims["sub"]),
        client_id=client.client_id,
        target=f"jti:{token.claims['jti']}",
    )
