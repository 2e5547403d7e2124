"""What the grants of a person have in common: the tokens, and their audit events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.oauth import access_tokens, id_tokens
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.grant_state import StandingGrant
from idp.oauth.grants import GrantRequest, token_answer
from idp.oauth.holder import Holder
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """Tokens that are signed but not handed out: what they hang on is still to be written."""

    access_token: str
    holder: Holder
    id_token: str | None
    expires_in: int
    scope: str

    def answer(self, refresh_token: str | None) -> Mapping[str, Any]:
        """Hand the tokens out."""
        return token_answer(
            self.access_token,
            self.holder,
            self.expires_in,
            self.scope,
            refresh_token,
            self.id_token,
        )


async def issue(
    token_request: GrantRequest,
    standing: StandingGrant,
    granted: ValidatedScopes,
    narrowed: ValidatedScopes,
    *,
    nonce: str | None,
) -> IssuedTokens:
    """Sign an access token and an ID token.

    `narrowed` is what of the granted scopes the access token is for.
    """
    storage, client, issuer = (
        token_request.storage,
        token_request.client,
        token_request.request.issuer,
    )
    access_token = await access_tokens.issue_access_token(
        storage, issuer, client, narrowed, token_request.holder, standing=standing
    )
    id_token = None
    if narrowed.is_openid:
        id_token = await id_tokens.issue_id_token(
            storage, issuer, client, granted, standing, nonce=nonce, access_token=access_token
        )
    lifetime, scope = client.access_token_lifetime, " ".join(narrowed.names)
    return IssuedTokens(access_token, token_request.holder, id_token, lifetime, scope)


def event(token_request: GrantRequest, tag: Tag) -> dict[str, Any]:
    """Return the part of the event that is known before the grant is."""
    return audit.columns(
        token_request.storage.context, tag, client_id=token_request.client.client_id
    )


def trail(token_request: GrantRequest, standing: StandingGrant, tag: Tag) -> dict[str, Any]:
    """Return the columns of the audit event, for the statement that writes it."""
    grant = standing.grant
    return audit.columns(
        token_request.storage.context,
        tag,
        user_id=grant.user_id,
        client_id=token_request.client.client_id,
        tenant_id=grant.tenant_id,
        target=f"grant:{grant.id}",
    )
