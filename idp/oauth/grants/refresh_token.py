"""A refresh token is exchanged for a fresh access token (RFC 6749 6), and rotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.directory.clients.view import ClientView
from idp.oauth import refresh_tokens, tokens
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.grants import GrantRequest, GrantType, person
from idp.oauth.people import HeldGrant, StandingGrant
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

    made = person.make(asked, standing, granted, narrowed, nonce=None)
    successor = _rotate(asked, presented, row, standing)
    session.commit()
    return made.answer(successor)


def _narrow(
    client: ClientView, granted: ValidatedScopes, asked: GrantRequest, grant: HeldGrant
) -> ValidatedScopes:
    """Apply `scope` and `resource` of the request; neither can add anything (RFC 6749 6).

    What was granted and was taken from the client since is left out; the answer's `scope` says so.
    """
    text = asked.parameters.get("scope")
    if text is not None:
        wanted = scopes.recognize(asked.session, client, scopes.split(text))
        if not set(wanted) <= set(grant.scopes):
            message = "scope exceeds what was granted"
            raise OAuthError(message, code="invalid_scope")
        granted = scopes.validate(client, [name for name in wanted if name in granted.names])
    resources, issuer = asked.parameters.all("resource"), asked.request.issuer.url
    return scopes.narrow(granted, resources, issuer, within=grant.resources)


def _rotate(asked: GrantRequest, presented: str, row: Presented, standing: StandingGrant) -> str:
    """Note the refresh and give the refresh token to use from now on."""
    session, client, grant = asked.session, asked.client, standing.grant
    event = person.trail(asked, standing, Tag.TOKEN_REFRESHED)
    if client.refresh_token_is_reusable and row.used_at is None:
        refresh_tokens.slide(session, client, row)
        audit.add(session, event)
        return presented
    if row.used_at is None:
        successor = refresh_tokens.rotate(session, client, presented, row, event)
        if successor is not None:
            return successor
        # Somebody else was faster, a moment ago.
        again = refresh_tokens.find(session, presented)
        row = row if again is None else again[0]
    if refresh_tokens.may_come_again(client, row):
        audit.add(session, event)
        return refresh_tokens.find_successor(session, presented, row)
    session.rollback()
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
