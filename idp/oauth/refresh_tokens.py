"""Refresh tokens in the database: found, rotated, and given again for a retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import String, Table, bindparam, func, literal, or_, select, union_all, update
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth import grant_state, refresh_rules
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.dpop import once
from idp.oauth.dpop.proofs import Proof
from idp.oauth.grant_state import HeldGrant, StandingGrant
from idp.oauth.holder import Holder
from idp.oauth.models import FormerRefreshToken, Grant, RefreshFamily
from idp.oauth.refresh_rules import PREFIX, Family, Outcome, Token
from idp.platform import clock, runtime
from idp.platform.audit.models import AuditEvent
from idp.platform.db import AtomicWrite, Json, use, write
from idp.platform.issuer import Issuer
from idp.platform.secrets import Keyring, b64url, digest
from idp.platform.storage import Storage


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that was presented, and the family that it is of."""

    token: Token
    family: Family
    former_id: int | None = None
    """Row of a token of the former form."""

    def decide(self, client: ClientView) -> Outcome:
        """Return what it leads to now."""
        return refresh_rules.decide(self.token, self.family, client, clock.now())


_NEVER = datetime.max.replace(tzinfo=UTC)
_FAMILY = tuple(getattr(RefreshFamily, field.name) for field in fields(Family))
_FORMER = (
    FormerRefreshToken.id,
    FormerRefreshToken.grant_id,
    FormerRefreshToken.generation,
    FormerRefreshToken.scopes,
    FormerRefreshToken.created_at,
    FormerRefreshToken.used_at,
    FormerRefreshToken.expires_at,
    FormerRefreshToken.absolute_expires_at,
)

# Made once: making a statement costs more than executing it.
_FIND = (
    grant_state.with_grant(*_FAMILY)
    .join(RefreshFamily, RefreshFamily.grant_id == Grant.id)
    .where(RefreshFamily.grant_id == bindparam("family"))
)
_FIND_FORMER = (
    grant_state.with_grant(*_FORMER)
    .join(FormerRefreshToken, FormerRefreshToken.grant_id == Grant.id)
    .where(FormerRefreshToken.token_hash == bindparam("token_hash"))
)
_CURRENT = (
    RefreshFamily.grant_id == bindparam("row_id"),
    RefreshFamily.generation == bindparam("at_generation"),
    RefreshFamily.secret_hash == bindparam("known_hash"),
    RefreshFamily.expires_at > bindparam("now"),
)
_ROTATE = AtomicWrite(
    update(cast("Table", RefreshFamily.__table__))
    .where(*_CURRENT)
    .values(
        generation=RefreshFamily.generation + 1,
        secret_hash=bindparam("next_hash"),
        rotated_at=bindparam("now"),
        expires_at=bindparam("next_expires_at"),
    ),
    AuditEvent,
)
_ROTATE_STANDING = AtomicWrite(
    update(cast("Table", RefreshFamily.__table__))
    .where(
        *_CURRENT,
        or_(RefreshFamily.dpop_jkt.is_(None), RefreshFamily.dpop_jkt == bindparam("shown_jkt")),
        or_(RefreshFamily.x5t_s256.is_(None), RefreshFamily.x5t_s256 == bindparam("shown_x5t")),
        RefreshFamily.scopes != bindparam("no_scopes", [], type_=Json),
        RefreshFamily.scopes.op("<@")(bindparam("known_scopes", type_=Json)),
        Grant.id == RefreshFamily.grant_id,
        Grant.client_id == bindparam("of_client"),
        Grant.issuer_tenant_id == bindparam("of_issuer"),
        Grant.resources == bindparam("no_resources", [], type_=Json),
        grant_state.of_grant(),
        grant_state.in_force(),
    )
    .values(
        generation=RefreshFamily.generation + 1,
        secret_hash=bindparam("next_hash"),
        rotated_at=bindparam("now"),
        expires_at=func.least(bindparam("sliding_end"), RefreshFamily.absolute_expires_at),
    ),
    AuditEvent,
    found=(RefreshFamily.scopes, *grant_state.STANDING),
    user_id=lambda family: family.grant_user_id,
    tenant_id=lambda family: family.grant_tenant_id,
    target=lambda family: literal("grant:").concat(cast_to(family.id, String)),
)
_SLIDE = (
    update(cast("Table", RefreshFamily.__table__))
    .where(*_CURRENT)
    .values(expires_at=bindparam("next_expires_at"))
)
_SLIDE_FORMER = (
    update(cast("Table", FormerRefreshToken.__table__))
    .where(FormerRefreshToken.id == bindparam("row_id"))
    .values(expires_at=bindparam("next_expires_at"))
)
_BEGIN_AFTER_FORMER = AtomicWrite(
    use(FormerRefreshToken).where(FormerRefreshToken.expires_at > bindparam("now")),
    RefreshFamily,
    AuditEvent,
)


async def find(
    storage: Storage, unverified_text: str
) -> tuple[Presented, HeldGrant, StandingGrant | None] | None:
    """Find a refresh token with its grant, and that again if it still stands."""
    token = refresh_rules.read(storage.runtime.keyring, unverified_text)
    if token is None:
        return await _find_former(storage, unverified_text)
    row = await storage.one(_FIND, {"family": token.family, "now": clock.now()})
    if row is None:
        return None
    return Presented(token, Family(*row[: len(_FAMILY)])), *grant_state.read(row[len(_FAMILY) :])


async def _find_former(
    storage: Storage, text: str
) -> tuple[Presented, HeldGrant, StandingGrant | None] | None:
    """Find a token of the former form; a spent one is as the last but one of its family."""
    if not text.startswith(PREFIX):
        return None
    row = await storage.one(_FIND_FORMER, {"token_hash": digest(text), "now": clock.now()})
    if row is None:
        return None
    row_id, grant_id, generation, scopes, created_at, used_at, *ends = row[: len(_FORMER)]
    token = Token(grant_id, generation, text.encode(), text)
    family = Family(
        grant_id,
        generation if used_at is None else generation + 1,
        token.secret_hash if used_at is None else b"",
        scopes,
        created_at,
        used_at,
        *ends,
    )
    return Presented(token, family, row_id), *grant_state.read(row[len(_FORMER) :])


def first(
    keyring: Keyring,
    client: ClientView,
    grant_id: int,
    scopes: ValidatedScopes,
    holder: Holder,
) -> tuple[str, dict[str, Any]]:
    """Make the first refresh token of a grant, and the columns of its family.

    RFC 9449 5: that of a public client is bound to the key; others prove who they are.
    """
    token = refresh_rules.begin(keyring, grant_id)
    absolute = clock.now() + timedelta(seconds=client.absolute_refresh_token_lifetime)
    columns = _columns(client, token, list(scopes.names), absolute)
    if client.is_public:
        columns["refresh_family__dpop_jkt"] = holder.jkt
        columns["refresh_family__x5t_s256"] = holder.x5t_s256
    return token.text, columns


async def rotate(
    storage: Storage,
    client: ClientView,
    presented: Presented,
    event: Mapping[str, Any],
    proof: Proof | None,
) -> str | None:
    """Put the next token in the place of one, with the event; None: another request was faster."""
    token = refresh_rules.successor(storage.runtime.keyring, presented.token)
    family = presented.family
    if presented.former_id is None:
        changes = _current(presented.token) | {
            "next_hash": token.secret_hash,
            "next_expires_at": _expiry(client, family.absolute_expires_at),
        }
        done = await once.write(storage, proof, _ROTATE, {**changes, **event})
    else:
        columns = _columns(client, token, family.scopes, family.absolute_expires_at)
        spent = {"row_id": presented.former_id, "now": clock.now()}
        values = {**spent, **columns, **event}
        done = await once.write(storage, proof, _BEGIN_AFTER_FORMER, values)
    return None if done is None else token.text


async def rotate_standing(
    storage: Storage,
    issuer: Issuer,
    client: ClientView,
    text: str,
    event: Mapping[str, Any],
    *,
    holder: Holder,
    proof: Proof | None,
) -> tuple[str, list[str], StandingGrant] | None:
    """Rotate a token by one statement, and return the next one, its scopes and the grant.

    That is done only where nothing is to be decided: the current token of the client, whose grant
    stands and names no resources, and whose scopes the client still has. None: nothing was done.
    """
    keyring = storage.runtime.keyring
    token = refresh_rules.read(keyring, text)
    if token is None or client.refresh_token_is_reusable:
        return None
    following = refresh_rules.successor(keyring, token)
    found = await once.write_and_read(
        storage,
        proof,
        _ROTATE_STANDING,
        {
            **_current(token),
            **event,
            "known_scopes": scopes.listed(client),
            "shown_jkt": holder.jkt,
            "shown_x5t": holder.x5t_s256,
            "of_client": client.row_id,
            "of_issuer": issuer.tenant_id,
            "next_hash": following.secret_hash,
            "sliding_end": _expiry(client, _NEVER),
        },
    )
    if found is None:
        return None
    names, *standing = found
    return following.text, names, grant_state.read_standing(standing)


def _current(token: Token) -> dict[str, Any]:
    """Return the values of the conditions that a token is still the current one."""
    return {
        "row_id": token.family,
        "at_generation": token.generation,
        "known_hash": token.secret_hash,
        "now": clock.now(),
    }


def _columns(
    client: ClientView, token: Token, scopes: list[str], absolute: datetime
) -> dict[str, Any]:
    return {
        "refresh_family__grant_id": token.family,
        "refresh_family__generation": token.generation,
        "refresh_family__secret_hash": token.secret_hash,
        "refresh_family__scopes": scopes,
        "refresh_family__expires_at": _expiry(client, absolute),
        "refresh_family__absolute_expires_at": absolute,
    }


def find_successor(session: Session, presented: Presented) -> str | None:
    """Compute the token again that followed a spent one, also after the root secret changed."""
    tokens = refresh_rules.successors(runtime.of(session).keyring, presented.token)
    if presented.former_id is not None:
        return _find_successor_of_former(session, tokens)
    kept = presented.family.secret_hash
    return next((token.text for token in tokens if token.secret_hash == kept), None)


def _find_successor_of_former(session: Session, tokens: list[Token]) -> str | None:
    """Look among tokens of the former form, and for the family that one of them began."""
    texts = {digest(text): text for text in (PREFIX + b64url(token.secret) for token in tokens)}
    texts |= {token.secret_hash: token.text for token in tokens}
    stored = union_all(
        select(FormerRefreshToken.token_hash).where(FormerRefreshToken.token_hash.in_(texts)),
        select(RefreshFamily.secret_hash).where(RefreshFamily.grant_id == tokens[0].family),
    )
    return next((texts[kept] for kept in session.scalars(stored) if kept in texts), None)


def slide(session: Session, client: ClientView, presented: Presented) -> None:
    """Extend the life of a reusable token from now, within its absolute life."""
    if not client.refresh_token_slides:
        return
    end = {"next_expires_at": _expiry(client, presented.family.absolute_expires_at)}
    if presented.former_id is None:
        write(session, _SLIDE, _current(presented.token) | end)
    else:
        write(session, _SLIDE_FORMER, {"row_id": presented.former_id} | end)


def _expiry(client: ClientView, absolute: datetime) -> datetime:
    if not client.refresh_token_slides:
        return absolute
    sliding = clock.now() + timedelta(seconds=client.sliding_refresh_token_lifetime)
    return min(sliding, absolute)
