"""Access tokens without a sign-in: by a command, or on the grant of another token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.orm import Session

from idp.directory.clients import snapshot as clients
from idp.directory.clients.snapshot import ClientView
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.oauth import access_tokens, grant_state, holder
from idp.oauth.checks import scope as scopes_of
from idp.oauth.models import Grant
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import Forbidden
from idp.platform.issuer import Issuer
from idp.platform.secrets import random_token
from idp.platform.storage import SessionStorage, complete
from idp.platform.web.principal import Principal

COMMAND_TOKEN_SECONDS = 900
AGAIN_SECONDS = 3600


def issue_by_command(
    session: Session, client: ClientView, user: User, tenant_id: int, scopes: Sequence[str]
) -> str:
    """Make an access token for a person without a sign-in, as an operator may; audited.

    The person must belong to the tenant; the token is issued by the tenant's issuer and lives for
    fifteen minutes. Raise Forbidden or an OAuthError that names the reason.
    """
    issuer = tenants.issuer_of(session, tenant_id)
    if not client.is_served_by(issuer) or client.tenant_id not in {None, tenant_id}:
        message = "The client does not serve this tenant"
        raise Forbidden(message)
    granted = scopes_of.validate(client, scopes)
    now = clock.now()
    grant = Grant(
        user_id=user.id,
        client_id=client.row_id,
        tenant_id=tenant_id,
        issuer_tenant_id=issuer.tenant_id,
        sid=random_token(16),
        security_stamp=user.security_stamp,
        scopes=list(granted.names),
        resources=[],
        auth_time=now,
        acr="0",  # OpenID Connect Core 2: no person was authenticated
        amr=[],
        expires_at=now + timedelta(seconds=COMMAND_TOKEN_SECONDS),
    )
    session.add(grant)
    session.flush()
    storage = SessionStorage(session)
    standing = complete(grant_state.find_standing(storage, grant.id))
    if standing is None:
        message = "The person may not sign in for this tenant"
        raise Forbidden(message)
    audit.record(
        session,
        Tag.TOKEN_MADE,
        client_id=client.client_id,
        tenant_id=tenant_id,
        target=f"user:{user.id}",
        details={"scopes": list(granted.names)},
    )
    return complete(
        access_tokens.issue_access_token(
            storage,
            issuer,
            client,
            granted,
            holder.NO_HOLDER,
            standing=standing,
            lifetime=COMMAND_TOKEN_SECONDS,
        )
    )


def issue_again(session: Session, issuer: Issuer, presented: Principal, lifetime: int = 0) -> str:
    """Make a fresh access token on the grant of the one presented; audited.

    It is no wider and lives no longer, it is bound to the same key, and whatever ends the grant
    ends it as well. A lifetime below 1 is taken for an hour.
    """
    storage = SessionStorage(session)
    client = clients.find(session, presented.client_id)
    grant_id = presented.grant_id
    standing = None
    if grant_id is not None:
        standing = complete(grant_state.find_standing(storage, grant_id))
    if client is None or standing is None:
        message = "Only a person's token can be issued again"
        raise Forbidden(message)
    left = presented.expires_at - clock.timestamp()
    lifetime = max(1, min(lifetime if lifetime > 0 else AGAIN_SECONDS, left))
    granted = scopes_of.retain(client, presented.token_scopes)
    granted = replace(granted, for_issuer=issuer.url in presented.audience)
    token_id = access_tokens.new_token_id(storage.runtime, standing.grant)
    audit.record(
        session,
        Tag.TOKEN_ISSUED,
        user_id=standing.user.id,
        client_id=client.client_id,
        tenant_id=standing.grant.tenant_id,
        details={
            "by": "token",
            "jti": token_id,
            "from_jti": presented.jti,
            "lifetime": lifetime,
            "scopes": list(granted.names),
        },
    )
    return complete(
        access_tokens.issue_access_token(
            storage,
            issuer,
            client,
            granted,
            holder.of(presented.cnf),
            standing=standing,
            lifetime=lifetime,
            not_after=presented.expires_at,
            token_id=token_id,
        )
    )
