"""The clients that an issuer serves, with those that nobody here registered.

`find` takes what the document of a client says now, and fetches it if it is not in memory. `known`
takes what it said when a person last allowed the client something: tokens that were issued since
depend on no other server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import bindparam, select

from idp.directory.clients import documents, snapshot, strangers
from idp.directory.clients.models import DOCUMENT, Client
from idp.platform.cache import MISSING
from idp.platform.errors import (
    BadRequest,
    Busy,
    OAuthError,
    TooManyRequests,
    Unavailable,
    Unprocessable,
)
from idp.platform.storage import SessionStorage, Storage, complete
from idp.platform.throttle import Address
from idp.platform.translation import N_

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from idp.directory.clients.documents import Document
    from idp.directory.clients.snapshot import ClientView
    from idp.platform.issuer import Issuer

log = structlog.get_logger("idp.oauth.callers")

STRANGERS_PER_MINUTE = 600
"""Pushed requests, in each worker, of all clients that nobody allowed anything yet."""
STRANGER_PER_MINUTE = 60
"""Those of one address."""
NOT_REACHABLE = N_("The description of the application cannot be read now. Try again later.")
MALFORMED = N_("The description of the application has a mistake. Tell the people who run it.")


async def known(storage: Storage, issuer: Issuer, client_id: str) -> ClientView | None:
    """Return a client that is registered, or that somebody allowed something already."""
    client = await storage.look_up(snapshot.find, client_id)
    if client is not None and client.origin == DOCUMENT:
        return await storage.look_up(strangers.find, client_id, issuer.tenant_id)
    return client if client is not None and client.is_served_by(issuer) else None


async def find(storage: Storage, issuer: Issuer, client_id: str) -> ClientView | None:
    """Return a client that is registered, or that its document describes now.

    OAuthError `invalid_client` where the document cannot be had or used; Busy where too many are
    being fetched.
    """
    row = await _row(storage, client_id)
    if row is not None and row.origin != DOCUMENT:
        return row if row.is_served_by(issuer) else None
    if not documents.is_id(client_id):
        return None
    policy = await storage.look_up(strangers.policy_at, issuer.tenant_id)
    if not policy.lets_in(client_id):
        return None
    document = await _read(storage, client_id)
    client = await storage.look_up(strangers.describe, document, issuer.tenant_id)
    if client is None or client.document_hash == (row and row.document_hash):
        return client
    if client.described_at is None:
        return client
    # Another process may have seen a newer one before the person allowed it.
    document = await _read(storage, client_id, client.described_at)
    return await storage.look_up(strangers.describe, document, issuer.tenant_id)


_ROW = select(Client.id).where(Client.client_id == bindparam("client_id"))


async def _row(storage: Storage, client_id: str) -> ClientView | None:
    """Return the row of a client; that an address has none is found out without a thread.

    Anybody may ask for as many of them as they like.
    """
    is_address = storage.known(snapshot.find, client_id) is MISSING and documents.is_id(client_id)
    if is_address and await storage.one(_ROW, {"client_id": client_id}) is None:
        return None
    return await storage.look_up(snapshot.find, client_id)


async def find_allowed(storage: Storage, issuer: Issuer, client_id: str) -> ClientView | None:
    """Return the client as `find` does, but none that nobody allowed anything yet.

    Nothing is fetched for those: whoever calls an endpoint could make us do so.
    """
    row = await storage.look_up(snapshot.find, client_id)
    if row is not None and row.origin == DOCUMENT:
        return await find(storage, issuer, client_id)
    return row if row is not None and row.is_served_by(issuer) else None


async def find_pushing(storage: Storage, issuer: Issuer, client_id: str) -> ClientView | None:
    """Return the client as `find` does, within limits for those that nobody allowed anything yet.

    Counted by each worker for itself, since nothing may be waited for here.
    """
    row = await _row(storage, client_id)
    if row is None and documents.is_id(client_id):
        throttle = storage.runtime.throttle
        address = Address.of(storage.context.remote_addr).networks[-1]
        # An address that has had its share uses up nothing of the others.
        limits = ((address, STRANGER_PER_MINUTE), ("", STRANGERS_PER_MINUTE))
        if not all(throttle.allows_here("strangers", key, most, 60) for key, most in limits):
            raise TooManyRequests(60)
    return await find(storage, issuer, client_id)


async def _read(storage: Storage, client_id: str, since: datetime | None = None) -> Document:
    try:
        kept = await storage.document(client_id, documents.WANTED, since=since)
    except Busy:
        raise
    except Unprocessable as problem:
        refusal = _refuse(MALFORMED, client_id, problem.debug)
        refusal.debug = problem.debug  # says nothing of any network
    except (BadRequest, Unavailable) as problem:
        refusal = _refuse(NOT_REACHABLE, client_id, problem.debug)
    else:
        return kept.value
    raise refusal


def _refuse(message: str, client_id: str, reason: str | None) -> OAuthError:
    # What was found there stays in the log: the address may be that of an inner server.
    log.info("client_document_refused", client_id=client_id, reason=reason)
    return OAuthError(message, code="invalid_client")


def known_now(session: Session, issuer: Issuer, client_id: str) -> ClientView | None:
    """Return a client as `known` does, on the thread of a session."""
    return complete(known(SessionStorage(session), issuer, client_id))


def find_now(session: Session, issuer: Issuer, client_id: str) -> ClientView | None:
    """Return a client as `find` does, on the thread of a session."""
    return complete(find(SessionStorage(session), issuer, client_id))
