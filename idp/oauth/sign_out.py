"""The end of sessions and memberships: it ends the grants made in them."""

from __future__ import annotations

from sqlalchemy import Text, cast, update
from sqlalchemy.orm import Session

from idp.oauth.checks.scope import OFFLINE_ACCESS
from idp.oauth.models import Grant
from idp.oauth.visitor import Visitor
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.sessions import service as sessions


def sign_out(session: Session, visitor: Visitor) -> None:
    """End a browser session and its grants; those with offline access live on by design.

    OpenID Connect Core 11: offline access is for when the person is not there.
    """
    if not sessions.end(session, visitor.browser):
        return
    session.execute(
        update(Grant)
        .where(
            Grant.session_id == visitor.browser.id,
            Grant.revoked_at.is_(None),
            # Scopes are kept as a list of JSON, and no scope has a quotation mark.
            cast(Grant.scopes, Text).not_like(f'%"{OFFLINE_ACCESS}"%'),
        )
        .values(revoked_at=clock.now(), revoked_reason="signed out")
        .execution_options(synchronize_session=False)
    )
    audit.record(
        session,
        Tag.SIGN_OUT,
        user_id=visitor.user.id,
        tenant_id=visitor.browser.issuer_tenant_id,
    )


def revoke_session_grants(session: Session, browser_session_id: int) -> int:
    """End every grant made in a browser session, with all tokens; return their number."""
    return revoke_grants(session, "session revoked", session_id=browser_session_id)


def revoke_member_grants(session: Session, user_id: int, tenant_id: int) -> int:
    """End every grant of a person who left a tenant; coming back does not restore them."""
    return revoke_grants(session, "left the tenant", user_id=user_id, tenant_id=tenant_id)


def revoke_client_grants(session: Session, client_row_id: int, reason: str) -> int:
    """End every grant of a client; return their number."""
    return revoke_grants(session, reason, client_id=client_row_id)


def revoke_grants(session: Session, reason: str, **of: int) -> int:
    """End every grant with these column values that has not ended; return their number."""
    return count_hits(
        session,
        update(Grant)
        .filter_by(**of)
        .where(Grant.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .execution_options(synchronize_session=False),
    )
