"""A device polls for the tokens that its person allows elsewhere (RFC 8628 3.4).

While the person has not answered, a poll costs one query and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from idp.directory.product import DEVICE_CODE
from idp.oauth import grant_state, refresh_tokens
from idp.oauth.checks import resource
from idp.oauth.checks import scope as scopes
from idp.oauth.dpop import once
from idp.oauth.grants import GrantRequest, GrantType, issuing
from idp.oauth.models import DeviceRequest, RefreshFamily
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import AtomicWrite, use
from idp.platform.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    SlowDown,
)
from idp.platform.secrets import digest
from idp.platform.storage import Storage

SLOWER = 5
"""Seconds by which the interval grows (RFC 8628 3.5)."""
SLOWEST = 60
TOLERANCE = 0.05
"""Seconds that the network may take longer for one poll than for the next."""


async def answer(token_request: GrantRequest) -> Mapping[str, Any]:
    """Redeem a device code, or say why there is nothing yet."""
    storage, client, parameters = (
        token_request.storage,
        token_request.client,
        token_request.parameters,
    )
    polled = await _find(token_request)
    if polled.grant_id is None:
        await _check_pace(token_request, polled)
        raise AuthorizationPending
    standing = await grant_state.find_standing(storage, polled.grant_id)
    if standing is None:
        raise InvalidGrant(debug="grant ended")
    granted = scopes.retain(client, standing.grant.scopes)
    if not granted.names:
        raise InvalidGrant(debug="no scope left")
    issuer, named = token_request.request.issuer.url, resource.read(parameters)
    narrowed = resource.narrow(granted, named, issuer, within=standing.grant.resources)
    issued = await issuing.issue(token_request, standing, granted, narrowed, nonce=None)
    changes: dict[str, Any] = issuing.trail(token_request, standing, Tag.TOKEN_ISSUED)
    changes |= {"row_id": polled.id, "now": clock.now()}
    refresh_token = None
    if granted.is_offline:
        refresh_token, columns = refresh_tokens.first(
            storage.runtime.keyring, client, polled.grant_id, granted, token_request.holder
        )
        changes |= columns
    spend = _SPEND if refresh_token is None else _SPEND_FOR_REFRESH
    if await once.write(storage, token_request.proof, spend, changes) is None:
        raise InvalidGrant(debug="device code used meanwhile")
    return issued.answer(refresh_token)


@dataclass(frozen=True, slots=True)
class _Polled:
    """A request as its device finds it; fields are named as the columns."""

    id: int
    client_id: int
    issuer_tenant_id: int
    parameters: list[list[str]]
    poll_seconds: int
    grant_id: int | None
    denied_at: datetime | None
    used_at: datetime | None
    expires_at: datetime

    @property
    def dpop_jkt(self) -> str | None:
        """Key whose holder alone gets the tokens."""
        return next((value for name, value in self.parameters if name == "dpop_jkt"), None)


_POLLED = tuple(getattr(DeviceRequest, field.name) for field in fields(_Polled))

# Made once: making a statement costs more than asking it.
_POLL = select(*_POLLED).where(DeviceRequest.device_code_hash == bindparam("device_code_hash"))
_SPEND = AtomicWrite(use(DeviceRequest), AuditEvent)
_SPEND_FOR_REFRESH = AtomicWrite(use(DeviceRequest), RefreshFamily, AuditEvent)


async def _poll(storage: Storage, device_code: str) -> _Polled | None:
    """Return the request of a device code, whatever became of it."""
    row = await storage.one(_POLL, {"device_code_hash": digest(device_code)})
    return None if row is None else _Polled(*row)


async def _find(token_request: GrantRequest) -> _Polled:
    """Return the client's own request, which is neither over nor refused nor redeemed."""
    code = token_request.parameters.require("device_code")
    polled = await _poll(token_request.storage, code)
    if polled is None:
        raise InvalidGrant(debug="unknown device code")
    if polled.client_id != token_request.client.row_id:
        raise InvalidGrant(debug="device code of another client")
    if polled.issuer_tenant_id != token_request.request.issuer.tenant_id:
        raise InvalidGrant(debug="device code of another issuer")
    if polled.used_at is not None:
        raise InvalidGrant(debug="device code used")
    if polled.denied_at is not None:
        raise AccessDenied
    if polled.expires_at <= clock.now():
        raise ExpiredToken
    if polled.dpop_jkt not in {None, token_request.holder.jkt}:
        raise InvalidGrant("The device code was asked for the holder of another key")
    return polled


async def _check_pace(token_request: GrantRequest, polled: _Polled) -> None:
    """Refuse a poll that comes too soon after the last one; each worker remembers its own."""
    storage = token_request.storage
    last = storage.runtime.throttle.seconds_here("device poll", str(polled.id), 2 * SLOWEST)
    if last is None or last >= polled.poll_seconds - TOLERANCE:
        return
    if polled.poll_seconds < SLOWEST:
        await storage.in_session(_slow_down, polled)
    raise SlowDown


def _slow_down(session: Session, polled: _Polled) -> None:
    session.execute(
        update(DeviceRequest)
        .where(
            DeviceRequest.id == polled.id,
            DeviceRequest.poll_seconds == polled.poll_seconds,
        )
        .values(poll_seconds=polled.poll_seconds + SLOWER)
    )


GRANT = GrantType(DEVICE_CODE, frozenset({"device_code", "resource"}), answer)
