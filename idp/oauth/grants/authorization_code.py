"""A code from the authorization endpoint is redeemed (RFC 6749 4.1.3), once."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam
from sqlalchemy.orm import Session

from idp.oauth import access_tokens, grant_state, refresh_tokens
from idp.oauth.checks import pkce, resource
from idp.oauth.checks import scope as scopes
from idp.oauth.dpop import once
from idp.oauth.grant_state import HeldGrant, StandingGrant
from idp.oauth.grants import GrantRequest, GrantType, issuing
from idp.oauth.models import AuthorizationCode, Grant, RefreshFamily
from idp.oauth.request import Parameters
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import AtomicWrite, use
from idp.platform.errors import InvalidGrant
from idp.platform.metrics.declarations import REPLAYS
from idp.platform.secrets import digest
from idp.platform.storage import Storage


async def answer(token_request: GrantRequest) -> Mapping[str, Any]:
    """Redeem a code; a second use ends the grant with all its tokens."""
    storage, client, parameters = (
        token_request.storage,
        token_request.client,
        token_request.parameters,
    )
    code, grant, standing = await _find(storage, parameters.require("code"))
    # Each check stands alone; none of them spends the code of another client.
    if grant.client_id != client.row_id:
        raise InvalidGrant(debug="code of another client")
    if grant.issuer_tenant_id != token_request.request.issuer.tenant_id:
        raise InvalidGrant(debug="code of another issuer")
    if code.used_at is not None:
        raise await storage.in_session(_reused, grant, client.client_id)
    if code.expires_at <= clock.now():
        raise InvalidGrant(debug="code expired")
    if code.dpop_jkt not in {None, token_request.holder.jkt}:
        raise InvalidGrant("The code was asked for the holder of another key")
    _check_redirect_uri(code, parameters)
    pkce.prove(code.code_challenge, parameters.get("code_verifier"))
    if standing is None:
        raise InvalidGrant(debug="grant ended")
    granted = scopes.retain(client, grant.scopes)
    if not granted.names:
        raise InvalidGrant(debug="no scope left")
    narrowed = resource.narrow(
        granted,
        resource.read(parameters),
        token_request.request.issuer.url,
        within=grant.resources,
    )
    issued = await issuing.issue(token_request, standing, granted, narrowed, nonce=code.nonce)
    changes: dict[str, Any] = issuing.trail(token_request, standing, Tag.TOKEN_ISSUED)
    changes |= {"row_id": code.id, "now": clock.now()}
    refresh_token = None
    if granted.is_offline:
        keyring = storage.runtime.keyring
        refresh_token, columns = refresh_tokens.first(
            keyring, client, grant.id, granted, token_request.holder
        )
        changes |= columns
    spend = _SPEND if refresh_token is None else _SPEND_FOR_REFRESH
    spent = await once.write(storage, token_request.proof, spend, changes)
    if spent is None:  # another request was faster
        raise await storage.in_session(_reused, grant, client.client_id)
    return issued.answer(refresh_token)


@dataclass(frozen=True, slots=True)
class _Code:
    """A code as it was kept; fields are named as the columns."""

    id: int
    redirect_uri: str
    code_challenge: str | None
    dpop_jkt: str | None
    nonce: str | None
    expires_at: datetime
    used_at: datetime | None


_CODE = tuple(getattr(AuthorizationCode, field.name) for field in fields(_Code))

# Made once: making a statement costs more than asking it.
_FIND = (
    grant_state.with_grant(*_CODE)
    .join(AuthorizationCode, AuthorizationCode.grant_id == Grant.id)
    .where(AuthorizationCode.code_hash == bindparam("code_hash"))
)
_SPEND = AtomicWrite(use(AuthorizationCode), AuditEvent)
_SPEND_FOR_REFRESH = AtomicWrite(use(AuthorizationCode), RefreshFamily, AuditEvent)


async def _find(storage: Storage, code: str) -> tuple[_Code, HeldGrant, StandingGrant | None]:
    row = await storage.one(_FIND, {"code_hash": digest(code), "now": clock.now()})
    if row is None:
        raise InvalidGrant(debug="unknown code")
    return _Code(*row[: len(_CODE)]), *grant_state.read(row[len(_CODE) :])


def _check_redirect_uri(code: _Code, parameters: Parameters) -> None:
    """Compare with the authorization request; with PKCE it may be left out (OAuth 2.1 10.2)."""
    if code.code_challenge is not None and parameters.get("redirect_uri") is None:
        return
    sent = parameters.require("redirect_uri")
    if not hmac.compare_digest(sent.encode(), code.redirect_uri.encode()):
        message = "redirect_uri differs from the authorization request"
        raise InvalidGrant(message)


def _reused(session: Session, grant: HeldGrant, client_id: str) -> InvalidGrant:
    """End the grant of a code that came twice (RFC 6749 4.1.2), and keep the trace."""
    runtime.of(session).counts.add(REPLAYS, "code")
    access_tokens.revoke_grant(session, grant.id, "code reused")
    audit.record(
        session,
        Tag.CODE_REUSED,
        user_id=grant.user_id,
        client_id=client_id,
        tenant_id=grant.tenant_id,
        target=f"grant:{grant.id}",
    )
    return InvalidGrant(debug="code reused")


GRANT = GrantType(
    "authorization_code",
    frozenset({"code", "redirect_uri", "code_verifier", "resource"}),
    answer,
)
