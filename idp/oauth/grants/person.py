"""What the grants of a person have in common: the tokens, their trail, one commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.oauth import tokens
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.grants import GrantRequest, TokenAnswer
from idp.oauth.people import StandingGrant
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag


def issue(
    asked: GrantRequest,
    standing: StandingGrant,
    granted: ValidatedScopes,
    narrowed: ValidatedScopes,
    *,
    refresh_token: str | None,
    nonce: str | None,
    tag: Tag,
) -> Mapping[str, Any]:
    """Make access token and ID token, note it in the trail, and commit all that was done.

    `narrowed` is what of the granted scopes the access token is for.
    """
    session, client, issuer = asked.session, asked.client, asked.request.issuer
    access_token = tokens.issue_access_token(session, issuer, client, narrowed, standing=standing)
    id_token = None
    if narrowed.is_openid:
        id_token = tokens.issue_id_token(
            session, issuer, client, granted, standing, nonce=nonce, access_token=access_token
        )
    audit.record(
        session,
        tag,
        user_id=standing.grant.user_id,
        client_id=client.client_id,
        tenant_id=standing.grant.tenant_id,
        target=f"grant:{standing.grant.id}",
    )
    session.commit()
    return TokenAnswer(
        access_token,
        client.access_token_lifetime,
        " ".join(narrowed.names),
        refresh_token,
        id_token,
    ).members()
