"""Token revocation (RFC 7009)."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth import access_tokens, client_auth, refresh_tokens
from idp.oauth.access_tokens import AccessToken
from idp.oauth.grant_state import HeldGrant
from idp.oauth.models import Grant
from idp.oauth.refresh_rules import Outcome
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import InvalidToken
from idp.platform.storage import Storage


async def revoke(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """End a token of the calling client; unknown and foreign ones change nothing.

    RFC 7009 2.1: with a refresh token all access tokens of its grant end.
    """
    client = await client_auth.authenticate(storage, request)
    token = request.body.require("token")
    if not await _revoke_refresh_token(storage, client, token):
        await _revoke_access_token(storage, request, client, token)
    return ProtocolResponse(200, NO_STORE)


async def _revoke_refresh_token(
    storage: Storage, client: ClientView, unverified_token: str
) -> bool:
    found = await refresh_tokens.find(storage, unverified_token)
    if found is None:
        return False
    refresh, grant, _ = found
    # Also a spent or expired one ends its grant.
    if grant.client_id != client.row_id or refresh.decide(client) is Outcome.UNKNOWN:
        return False
    await storage.in_session(_end_grant, client, grant)
    return True


def _end_grant(session: Session, client: ClientView, grant: HeldGrant) -> None:
    if access_tokens.revoke_grant(session, grant.id, "revoked by the client"):
        audit.record(
            session,
            Tag.GRANT_REVOKED,
            user_id=grant.user_id,
            client_id=client.client_id,
            tenant_id=grant.tenant_id,
            target=f"grant:{grant.id}",
        )


async def _revoke_access_token(
    storage: Storage, request: ProtocolRequest, client: ClientView, unverified_token: str
) -> None:
    try:
        token = await access_tokens.read_issued(storage, request.issuer, unverified_token)
        grant_id = access_tokens.grant_id_of(storage.runtime, token.claims)
    except InvalidToken:
        return
    if token.client.row_id != client.row_id:
        return
    await storage.in_session(_end_token, client, token, grant_id)


def _end_token(
    session: Session, client: ClientView, token: AccessToken, grant_id: int | None
) -> None:
    access_tokens.revoke_access_token(session, token)
    user_id = None
    if grant_id is not None:
        user_id = session.scalar(select(Grant.user_id).where(Grant.id == grant_id))
    audit.record(
        session,
        Tag.TOKEN_REVOKED,
        user_id=user_id,
        client_id=client.client_id,
        target=f"jti:{token.claims['jti']}",
    )
