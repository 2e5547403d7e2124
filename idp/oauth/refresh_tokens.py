"""Refresh tokens: made with a code, rotated at every use, and recomputed for a retry.

A successor is HMAC(server key, presented token, family, generation): the same client that sends
the same token again a moment later gets the same successor, and nothing readable is stored.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from idp.directory.clients.view import ClientView
from idp.oauth import people
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.models import Grant, RefreshToken
from idp.oauth.people import HeldGrant, StandingGrant
from idp.platform import clock, runtime
from idp.platform.audit.models import AuditEvent
from idp.platform.db import Together, run_one, use
from idp.platform.secrets import b64url, digest, random_token

PREFIX = "rt_"
PURPOSE = "refresh token"


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that somebody showed; fields are named as the columns."""

    id: int
    grant_id: int
    generation: int
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    absolute_expires_at: datetime
    used_at: datetime | None


PRESENTED = tuple(getattr(RefreshToken, field.name) for field in fields(Presented))

# Made once: making a statement costs more than asking it.
_FIND = (
    people.with_grant(*PRESENTED)
    .join(RefreshToken, RefreshToken.grant_id == Grant.id)
    .where(RefreshToken.token_hash == bindparam("token_hash"))
)
_ROTATE = Together(use(RefreshToken), RefreshToken, AuditEvent)


def find(
    session: Session, presented: str
) -> tuple[Presented, HeldGrant, StandingGrant | None] | None:
    """Find a refresh token with its grant, and that again if it still stands."""
    row = run_one(session, _FIND, {"token_hash": digest(presented), "now": clock.now()})
    if row is None:
        return None
    return Presented(*row[: len(PRESENTED)]), *people.read(row[len(PRESENTED) :])


def first(client: ClientView, grant_id: int, scopes: ValidatedScopes) -> tuple[str, dict[str, Any]]:
    """Make the first refresh token of a grant, and its columns for `db.Together`."""
    token = PREFIX + random_token()
    absolute = clock.now() + timedelta(seconds=client.absolute_refresh_token_lifetime)
    return token, _columns(client, token, grant_id, 0, list(scopes.names), absolute)


def rotate(
    session: Session,
    client: ClientView,
    presented: str,
    row: Presented,
    event: Mapping[str, Any],
) -> str | None:
    """Spend a token, store the one that follows and the event; None: somebody else was faster."""
    keyring = runtime.of(session).keyring
    token = _successor(keyring.key(PURPOSE), presented, row)
    columns = _columns(
        client, token, row.grant_id, row.generation + 1, row.scopes, row.absolute_expires_at
    )
    spent = _ROTATE.run(session, {"row_id": row.id, "now": clock.now(), **columns, **event})
    return None if spent is None else token


def _columns(
    client: ClientView,
    token: str,
    grant_id: int,
    generation: int,
    scopes: list[str],
    absolute: datetime,
) -> dict[str, Any]:
    return {
        "refresh_token__token_hash": digest(token),
        "refresh_token__grant_id": grant_id,
        "refresh_token__generation": generation,
        "refresh_token__scopes": scopes,
        "refresh_token__expires_at": _expiry(client, absolute),
        "refresh_token__absolute_expires_at": absolute,
    }


def find_successor(session: Session, presented: str, row: Presented) -> str:
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


def _successor(key: bytes, presented: str, row: Presented) -> str:
    text = f"{presented}\n{row.grant_id}\n{row.generation}"
    return PREFIX + b64url(hmac.digest(key, text.encode(), "sha256"))


def slide(session: Session, client: ClientView, row: Presented) -> None:
    """Let a reusable token live on from now, within its absolute life."""
    if client.refresh_token_slides:
        session.execute(
            update(RefreshToken)
            .where(RefreshToken.id == row.id)
            .values(expires_at=_expiry(client, row.absolute_expires_at))
            .execution_options(synchronize_session=False)
        )


def may_come_again(client: ClientView, row: Presented) -> bool:
    """Whether a used token is still inside its client's window for retries."""
    window = timedelta(seconds=client.refresh_token_reuse_seconds)
    return row.used_at is not None and clock.now() - row.used_at < window


def _expiry(client: ClientView, absolute: datetime) -> datetime:
    if not client.refresh_token_slides:
        return absolute
    sliding = clock.now() + timedelta(seconds=client.sliding_refresh_token_lifetime)
    return min(sliding, absolute)
