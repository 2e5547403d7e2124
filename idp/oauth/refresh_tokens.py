"""Refresh tokens: made with a code, rotated at every use, and recomputed for a retry.

A successor is HMAC(server key, presented token, family, generation): the same client that sends
the same token again a moment later gets the same successor, and nothing readable is stored.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from idp.directory.clients.view import ClientView
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.models import Grant, RefreshToken
from idp.platform import clock, runtime
from idp.platform.db import count_hits
from idp.platform.secrets import b64url, digest, random_token

REUSE_WINDOW = timedelta(seconds=30)
"""How long after its use a token may come again: a lost answer, not a thief."""
PREFIX = "rt_"
PURPOSE = "refresh token"


def issue(session: Session, client: ClientView, grant: Grant, scopes: ValidatedScopes) -> str:
    """Make the first refresh token of a grant."""
    token = PREFIX + random_token()
    absolute = clock.now() + timedelta(seconds=client.absolute_refresh_token_lifetime)
    session.execute(
        insert(RefreshToken).values(
            token_hash=digest(token),
            grant_id=grant.id,
            generation=0,
            scopes=list(scopes.names),
            expires_at=_expiry(client, absolute),
            absolute_expires_at=absolute,
        )
    )
    return token


def spend(session: Session, row: RefreshToken) -> bool:
    """Mark a token as used; False when somebody else was faster."""
    hits = count_hits(
        session,
        update(RefreshToken)
        .where(RefreshToken.id == row.id, RefreshToken.used_at.is_(None))
        .values(used_at=clock.now())
        .execution_options(synchronize_session=False),
    )
    return hits > 0


def add_successor(session: Session, client: ClientView, presented: str, row: RefreshToken) -> str:
    """Store the token that follows the one just spent."""
    keyring = runtime.of(session).keyring
    token = _successor(keyring.key(PURPOSE), presented, row)
    session.execute(
        insert(RefreshToken).values(
            token_hash=digest(token),
            grant_id=row.grant_id,
            generation=row.generation + 1,
            scopes=row.scopes,
            expires_at=_expiry(client, row.absolute_expires_at),
            absolute_expires_at=row.absolute_expires_at,
        )
    )
    return token


def find_successor(session: Session, presented: str, row: RefreshToken) -> str:
    """Compute the token again that followed a spent one, also after the root secret changed."""
    keyring = runtime.of(session).keyring
    tokens = [_successor(keyring.key(PURPOSE, root), presented, row) for root in keyring.roots()]
    stored = set(
        session.scalars(
            select(RefreshToken.token_hash).where(
                RefreshToken.token_hash.in_([digest(token) for token in tokens])
            )
        )
    )
    return next((token for token in tokens if digest(token) in stored), tokens[0])


def _successor(key: bytes, presented: str, row: RefreshToken) -> str:
    text = f"{presented}\n{row.grant_id}\n{row.generation}"
    return PREFIX + b64url(hmac.digest(key, text.encode(), "sha256"))


def slide(session: Session, client: ClientView, row: RefreshToken) -> None:
    """Let a reusable token live on from now, within its absolute life."""
    if client.refresh_token_slides:
        session.execute(
            update(RefreshToken)
            .where(RefreshToken.id == row.id)
            .values(expires_at=_expiry(client, row.absolute_expires_at))
            .execution_options(synchronize_session=False)
        )


def may_come_again(row: RefreshToken) -> bool:
    """Whether a used token is still inside the window for retries."""
    return row.used_at is not None and clock.now() - row.used_at <= REUSE_WINDOW


def _expiry(client: ClientView, absolute: datetime) -> datetime:
    if not client.refresh_token_slides:
        return absolute
    sliding = clock.now() + timedelta(seconds=client.sliding_refresh_token_lifetime)
    return min(sliding, absolute)
