"""A code from the authorization endpoint is redeemed (RFC 6749 4.1.3), once."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp.oauth import people, refresh_tokens, tokens
from idp.oauth.checks import pkce
from idp.oauth.checks import scope as scopes
from idp.oauth.grants import GrantRequest, GrantType, person
from idp.oauth.models import AuthorizationCode, Grant
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import InvalidGrant
from idp.platform.secrets import digest


def answer(asked: GrantRequest) -> Mapping[str, Any]:
    """Redeem a code; a second use ends the grant with all its tokens."""
    session, client, parameters = asked.session, asked.client, asked.parameters
    code, grant = _find(session, parameters.require("code"))
    # Each check stands alone; none of them spends the code of somebody else.
    if grant.client_id != client.row_id:
        raise InvalidGrant(debug="code of another client")
    if grant.issuer_tenant_id != asked.request.issuer.tenant_id:
        raise InvalidGrant(debug="code of another issuer")
    if code.used_at is not None:
        raise _reused(session, grant, client.client_id)
    if code.expires_at <= clock.now():
        raise InvalidGrant(debug="code expired")
    if not hmac.compare_digest(
        parameters.require("redirect_uri").encode(), code.redirect_uri.encode()
    ):
        message = "redirect_uri differs from the authorization request"
        raise InvalidGrant(message)
    pkce.prove(code.code_challenge, parameters.get("code_verifier"))
    if not _spend(session, code):
        raise _reused(session, grant, client.client_id)
    standing = people.find_standing(session, grant.id)
    if standing is None:
        session.rollback()
        raise InvalidGrant(debug="grant ended")

    granted = scopes.retain(client, grant.scopes)
    if not granted.names:
        raise InvalidGrant(debug="no scope left")
    narrowed = scopes.narrow(granted, parameters.all("resource"), within=grant.resources)
    refresh_token = (
        refresh_tokens.issue(session, client, grant, granted) if granted.is_offline else None
    )
    return person.issue(
        asked,
        standing,
        granted,
        narrowed,
        refresh_token=refresh_token,
        nonce=code.nonce,
        tag=Tag.TOKEN_ISSUED,
    )


def _find(session: Session, code: str) -> tuple[AuthorizationCode, Grant]:
    row = session.execute(
        select(AuthorizationCode, Grant)
        .join(Grant, Grant.id == AuthorizationCode.grant_id)
        .where(AuthorizationCode.code_hash == digest(code))
    ).one_or_none()
    if row is None:
        raise InvalidGrant(debug="unknown code")
    return row[0], row[1]


def _spend(session: Session, code: AuthorizationCode) -> bool:
    """Mark a code as used; False when somebody else was faster."""
    hits = count_hits(
        session,
        update(AuthorizationCode)
        .where(AuthorizationCode.id == code.id, AuthorizationCode.used_at.is_(None))
        .values(used_at=clock.now())
        .execution_options(synchronize_session=False),
    )
    return hits > 0


def _reused(session: Session, grant: Grant, client_id: str) -> InvalidGrant:
    """End the grant of a code that came twice (RFC 6749 4.1.2), and keep the trace."""
    tokens.revoke_grant(session, grant.id, "code reused")
    audit.record(
        session,
        Tag.CODE_REUSED,
        user_id=grant.user_id,
        client_id=client_id,
        tenant_id=grant.tenant_id,
        target=f"grant:{grant.id}",
    )
    session.commit()
    return InvalidGrant(debug="code reused")


GRANT = GrantType(
    "authorization_code",
    frozenset({"code", "redirect_uri", "code_verifier", "resource"}),
    answer,
)
