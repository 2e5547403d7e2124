"""A refresh token is exchanged for a fresh access token (RFC 6749 6), and rotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.clients.view import ClientView
from idp.oauth import refresh_tokens, tokens
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.grants import GrantRequest, GrantType, person
from idp.oauth.people import HeldGrant
from idp.oauth.refresh_tokens import Presented
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import InvalidGrant, OAuthError


def answer(asked: GrantRequest) -> Mapping[str, Any]:
    """Give new tokens for a refresh token; a late second use ends the grant."""
    session, client, parameters = asked.session, asked.client, asked.parameters
    presented = parameters.require("refresh_token")
    found = refresh_tokens.find(session, presented)
    if found is None:
        raise InvalidGrant(debug="unknown refresh token")
    row, grant, standing = found
    if grant.client_id != client.row_id:
        raise InvalidGrant(debug="refresh token of another client")
    if grant.issuer_tenant_id != asked.request.issuer.tenant_id:
        raise InvalidGrant(debug="refresh token of another issuer")
    # A used one is judged as long as its family may live: a retry may come after its own time,
    # and so may a thief.
    expires_at = row.expires_at if row.used_at is None else row.absolute_expires_at
    if expires_at <= clock.now():
        raise InvalidGrant(debug="refresh token expired")
    if standing is None:
        raise InvalidGrant(debug="grant ended")
    granted = scopes.retain(client, row.scopes)
    if not granted.names:
        raise InvalidGrant(debug="no scope left")
    narrowed = _narrow(client, granted, asked, grant)

    successor = _rotate(session, client, presented, row, grant)
    return person.issue(
        asked,
        standing,
        granted,
        narrowed,
        refresh_token=successor,
        nonce=None,
        tag=Tag.TOKEN_REFRESHED,
    )


def _narrow(
    client: ClientView, granted: ValidatedScopes, asked: GrantRequest, grant: HeldGrant
) -> ValidatedScopes:
    """Apply `scope` and `resource` of the request; neither can add anything (RFC 6749 6)."""
    text = asked.parameters.get("scope")
    if text is not None:
        wanted = scopes.split(text)
        if not set(wanted) <= set(granted.names):
            message = "scope exceeds what was granted"
            raise OAuthError(message, code="invalid_scope")
        granted = scopes.validate(client, wanted)
    return scopes.narrow(granted, asked.parameters.all("resource"), within=grant.resources)


def _rotate(
    session: Session, client: ClientView, presented: str, row: Presented, grant: HeldGrant
) -> str:
    """Give the refresh token to use from now on."""
    if client.refresh_token_is_reusable and row.used_at is None:
        refresh_tokens.slide(session, client, row)
        return presented
    if row.used_at is None and refresh_tokens.spend(session, row):
        return refresh_tokens.add_successor(session, client, presented, row)
    if row.used_at is None:  # somebody else was faster, a moment ago
        again = refresh_tokens.find(session, presented)
        row = row if again is None else again[0]
    if refresh_tokens.may_come_again(row):
        return refresh_tokens.find_successor(session, presented, row)
    # RFC 9700 4.14.2: a token that comes back late was stolen, then or now.
    tokens.revoke_grant(session, grant.id, "refresh token reused")
    audit.record(
        session,
        Tag.REFRESH_REUSED,
        user_id=grant.user_id,
        client_id=client.client_id,
        tenant_id=grant.tenant_id,
        target=f"grant:{grant.id}",
    )
    session.commit()
    raise InvalidGrant(debug="refresh token reused")


GRANT = GrantType("refresh_token", frozenset({"refresh_token", "scope", "resource"}), answer)
