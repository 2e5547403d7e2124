"""Requests of devices that have no browser (RFC 8628): kept, allowed or refused, and redeemed.

A person answers for the device elsewhere. Everything that must happen once is a single UPDATE.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp.directory.clients.models import Client
from idp.directory.clients.snapshot import ClientView
from idp.oauth import pending
from idp.oauth.authorization import code_grants
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks import resource
from idp.oauth.checks import scope as scopes_of
from idp.oauth.dpop import once
from idp.oauth.dpop.proofs import Proof
from idp.oauth.models import AuthorizationRequest, DeviceRequest
from idp.oauth.request import Pairs, Parameters
from idp.oauth.visitor import Visitor
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import AtomicWrite, RepeatedError, count_hits, new_row
from idp.platform.errors import Unavailable
from idp.platform.issuer import Issuer
from idp.platform.secrets import Keyring, digest, random_token
from idp.platform.storage import Storage
from idp.platform.throttle import Address

LIFETIME = timedelta(minutes=10)
INTERVAL = 5
"""Seconds between two polls, until a client polls faster."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no code is a word, and no digits that look like letters (RFC 8628 6.1)."""
LENGTH = 8
HALF = LENGTH // 2
PURPOSE = "user code"
TRIES = 3
LONGEST_USER_AGENT = 300
LONGEST_TYPED = 50


@dataclass(frozen=True, slots=True)
class Codes:
    """What a device gets: a code that it polls with, and one that its person types."""

    device_code: str
    user_code: str


_NEW = AtomicWrite(
    new_row(
        DeviceRequest,
        *("device_code_hash", "user_code_mac", "issuer_tenant_id", "client_id", "parameters"),
        *("remote_addr", "user_agent", "poll_seconds", "grant_id", "denied_at", "used_at"),
        *("created_at", "expires_at"),
    ),
    AuditEvent,
)


async def store(
    storage: Storage, issuer: Issuer, client: ClientView, parameters: Pairs, proof: Proof | None
) -> Codes:
    """Keep a request that was checked; return its codes."""
    now, context = clock.now(), storage.context
    values = {
        "issuer_tenant_id": issuer.tenant_id,
        "client_id": client.row_id,
        "parameters": [list(pair) for pair in parameters],
        "remote_addr": context.remote_addr,
        "user_agent": (context.user_agent or "")[:LONGEST_USER_AGENT] or None,
        "poll_seconds": INTERVAL,
        "grant_id": None,
        "denied_at": None,
        "used_at": None,
        "created_at": now,
        "expires_at": now + LIFETIME,
        **audit.columns(
            context, Tag.DEVICE_ASKED, client_id=client.client_id, tenant_id=client.tenant_id
        ),
    }
    for _ in range(TRIES):
        codes = Codes(random_token(), "".join(secrets.choice(LETTERS) for _ in range(LENGTH)))
        values["device_code_hash"] = digest(codes.device_code)
        values["user_code_mac"] = _mac(storage.runtime.keyring, codes.user_code)
        try:
            await once.write(storage, proof, _NEW, values)
        except RepeatedError:
            continue  # the code of the person is taken
        return codes
    raise Unavailable(debug="no free user code")


def _mac(keyring: Keyring, user_code: str, root: str | None = None) -> bytes:
    """Hash a code of a person, which is too short for a plain hash."""
    return hmac.digest(keyring.key(PURPOSE, root), user_code.encode(), hashlib.sha256)


def normalized(typed: str) -> str | None:
    """Return the letters of a code in any writing; None: it is none."""
    if len(typed) > LONGEST_TYPED:
        return None
    letters = "".join(letter for letter in typed.upper() if letter.isalnum())
    is_code = len(letters) == LENGTH and set(letters) <= set(LETTERS)
    return letters if is_code else None


def shown(user_code: str) -> str:
    """Write a code as people read it."""
    return f"{user_code[:HALF]}-{user_code[HALF:]}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for its person, with the client that asks."""

    row: DeviceRequest
    client: ClientView

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it asks for."""
        parameters = Parameters((name, value) for name, value in self.row.parameters)
        names = resource.wanted_scopes(self.client, parameters)
        return scopes_of.retain(self.client, names).names


def find(session: Session, issuer: Issuer, typed: str, user_id: int) -> Waiting | None:
    """Find a request that waits for its person, by the code that they typed.

    Wrong codes are counted, by person and address: TooManyRequests after some of them.
    """
    throttle = runtime.of(session).throttle
    keys = (f"person {user_id}", Address.of(runtime.context_of(session).remote_addr))
    throttle.check_delay(PURPOSE, *keys)
    code = normalized(typed)
    found = None if code is None else _find(session, issuer, code)
    if found is None:
        throttle.failed(PURPOSE, *keys)
    else:
        throttle.withdraw(PURPOSE, *keys)
    return found


def _find(session: Session, issuer: Issuer, code: str) -> Waiting | None:
    keyring = runtime.of(session).keyring
    macs = [_mac(keyring, code, root) for root in keyring.roots()]
    found = session.execute(
        select(DeviceRequest, Client.client_id)
        .join(Client, Client.id == DeviceRequest.client_id)
        .where(
            DeviceRequest.user_code_mac.in_(macs),
            DeviceRequest.issuer_tenant_id == issuer.tenant_id,
            *_waits(),
        )
    ).one_or_none()
    if found is None:
        return None
    client = pending.find_served_client(session, issuer, found[1])
    return None if client is None else Waiting(found[0], client)


def _waits() -> tuple[Any, ...]:
    return (
        DeviceRequest.grant_id.is_(None),
        DeviceRequest.denied_at.is_(None),
        DeviceRequest.expires_at > clock.now(),
    )


def ask(session: Session, issuer: Issuer, waiting: Waiting, visitor: Visitor) -> str:
    """Keep the request for the pages that follow; return its handle.

    It is answered in the browser session only in which the person compared the code. It is as old
    as the request of the device: where a sign-in is needed, a younger one is.
    """
    row = waiting.row
    handle = pending.store(
        session,
        issuer,
        "authorize",
        (
            ("client_id", waiting.client.client_id),
            *((name, value) for name, value in row.parameters),
        ),
        runtime.context_of(session).remote_addr,
        device_id=row.id,
        since=row.created_at,
    )
    pending.choose_account(session, issuer, handle, visitor.browser)
    return handle


def deny(session: Session, device_id: int, client_id: str, user_id: int | None) -> bool:
    """Refuse a request that waits; False when it was answered before."""
    statement = (
        update(DeviceRequest)
        .where(DeviceRequest.id == device_id, *_waits())
        .values(denied_at=clock.now())
    )
    if not count_hits(session, statement):
        return False
    audit.record(session, Tag.DEVICE_DENIED, user_id=user_id, client_id=client_id)
    return True


def allow(
    session: Session,
    row: AuthorizationRequest,
    validated: ValidatedRequest,
    approved: Approved,
) -> None:
    """Make the grant of a device, once: `no_longer_kept` when its request is over."""
    device = session.get(DeviceRequest, row.device_request_id)
    if device is None:
        raise pending.no_longer_kept()
    grant_id = code_grants.make_for_device(session, validated, approved, device.expires_at)
    statement = (
        update(DeviceRequest)
        .where(DeviceRequest.id == device.id, *_waits())
        .values(grant_id=grant_id)
    )
    if not count_hits(session, statement):
        raise pending.no_longer_kept()
