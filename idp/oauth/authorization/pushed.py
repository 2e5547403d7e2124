"""Authorization requests that clients sent ahead (RFC 9126): kept, opened, and spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth import pending
from idp.oauth.dpop import once
from idp.oauth.dpop.proofs import Proof
from idp.oauth.models import PushedRequest
from idp.oauth.request import Pairs
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import AtomicWrite, count_hits, new_row
from idp.platform.errors import InvalidRequestUri
from idp.platform.issuer import Issuer
from idp.platform.secrets import digest, random_token
from idp.platform.storage import Storage

PREFIX = "urn:ietf:params:oauth:request_uri:"
LIFETIME = timedelta(seconds=60)
"""How long a pushed request may be opened; once a page was shown, it waits as long as that."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A pushed request that may be answered."""

    id: int
    parameters: Pairs
    is_signed: bool


_ROW = new_row(
    PushedRequest,
    *("handle_hash", "issuer_tenant_id", "client_id", "parameters", "is_signed"),
    *("created_at", "expires_at", "used_at"),
)
_NEW = AtomicWrite(_ROW, AuditEvent)
_NEW_OF_STRANGER = AtomicWrite(_ROW)
"""Of a client that nobody allowed anything: nothing of it stays."""
_FIND = select(
    PushedRequest.id,
    PushedRequest.client_id,
    PushedRequest.parameters,
    PushedRequest.is_signed,
    PushedRequest.used_at,
).where(
    PushedRequest.handle_hash == bindparam("handle_hash"),
    PushedRequest.issuer_tenant_id == bindparam("issuer_tenant_id"),
    PushedRequest.created_at > bindparam("since"),
)


async def store(
    storage: Storage,
    issuer: Issuer,
    client: ClientView,
    parameters: Pairs,
    *,
    is_signed: bool,
    proof: Proof | None,
) -> str:
    """Keep a request that was checked; return the address that it is opened by."""
    handle, now = random_token(), clock.now()
    values = {
        "handle_hash": digest(handle),
        "issuer_tenant_id": issuer.tenant_id,
        "client_id": client.row_id,
        "parameters": pending.sealed(storage.runtime.keyring, parameters),
        "is_signed": is_signed,
        "created_at": now,
        "expires_at": now + LIFETIME,
        "used_at": None,
        **audit.columns(
            storage.context,
            Tag.REQUEST_PUSHED,
            client_id=client.client_id,
            tenant_id=client.tenant_id,
        ),
    }
    await once.write(storage, proof, _NEW if client.row_id else _NEW_OF_STRANGER, values)
    return PREFIX + handle


async def find(storage: Storage, issuer: Issuer, client: ClientView, uri: str) -> Pushed:
    """Return the client's own request, not expired and not used; InvalidRequestUri otherwise."""
    values = {
        "handle_hash": digest(uri.removeprefix(PREFIX)),
        "issuer_tenant_id": issuer.tenant_id,
        "since": clock.now() - LIFETIME,
    }
    row = await storage.one(_FIND, values)
    if row is None:
        raise InvalidRequestUri(debug="unknown or expired")
    row_id, client_row_id, kept, is_signed, used_at = row
    parameters = pending.opened(storage.runtime.keyring, kept)
    # A row may have been made since, when somebody allowed the client something.
    is_same_row = client_row_id in {None, client.row_id}
    if not is_same_row or dict(parameters)["client_id"] != client.client_id:
        raise InvalidRequestUri(debug="of another client")
    if used_at is not None:
        raise InvalidRequestUri(debug="used")
    return Pushed(row_id, parameters, is_signed)


def hold(session: Session, pushed_id: int) -> None:
    """Keep the row for as long as a page waits for the person; it is not opened for longer."""
    session.execute(
        update(PushedRequest)
        .where(PushedRequest.id == pushed_id)
        .values(expires_at=clock.now() + pending.LIFETIME)
    )


def spend(session: Session, pushed_id: int) -> None:
    """Mark a request as used, once; InvalidRequestUri where another answer was faster."""
    statement = (
        update(PushedRequest)
        .where(PushedRequest.id == pushed_id, PushedRequest.used_at.is_(None))
        .values(used_at=clock.now())
    )
    if not count_hits(session, statement):
        raise InvalidRequestUri(debug="used meanwhile")
