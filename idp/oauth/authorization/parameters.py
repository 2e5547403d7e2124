"""Where the parameters of an authorization request come from."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth import pending
from idp.oauth.authorization import checks, pushed, request_object
from idp.oauth.models import AuthorizationRequest
from idp.oauth.pending import Answers
from idp.oauth.request import Pairs, Parameters, ProtocolRequest
from idp.oauth.visitor import SignedIn
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer
from idp.platform.storage import Storage


@dataclass(frozen=True, slots=True)
class AskedParameters:
    """The parameters of a request, the client that they name, and where they were found."""

    client: ClientView
    parameters: Parameters
    row: AuthorizationRequest | None = None
    """The request as it was kept for a page; None: it came just now."""
    handle: str | None = None
    """By which the browser knows the kept request."""
    pushed_id: int | None = None
    """The pushed request that they are of."""
    is_signed: bool = False
    """Whether the client signed them."""
    device_id: int | None = None
    """The request of a device that they are of: nothing is sent to a return address."""


async def read(request: ProtocolRequest, storage: Storage) -> AskedParameters:
    """Read the parameters of a request, or of the one that it continues or stands for."""
    sent, issuer = request.either, request.issuer
    handle = sent.get(pending.CONTINUE) if request.method == "GET" else None
    if handle is not None:
        return await _resume(storage, issuer, handle)
    client = await checks.prove_client(storage, issuer, sent.require("client_id"))
    uri = sent.get("request_uri")
    if uri is None or not uri.startswith(pushed.PREFIX):
        return await unwrap(storage, issuer, client, sent)
    # RFC 9126 4, RFC 9101 5: what stands beside it is ignored.
    found = await pushed.find(storage, issuer, client, uri)
    return AskedParameters(
        client, Parameters(found.parameters), pushed_id=found.id, is_signed=found.is_signed
    )


async def unwrap(
    storage: Storage, issuer: Issuer, client: ClientView, sent: Parameters
) -> AskedParameters:
    """Take the parameters out of a signed request where there is one, and no others then."""
    unverified_jwt = sent.get("request")
    if unverified_jwt is None:
        return AskedParameters(client, sent)
    if sent.get("request_uri") is not None:
        message = "request and request_uri exclude each other"
        raise OAuthError(message)  # OpenID Connect Core 6.1
    # On a thread: the client's keys may have to be fetched.
    pairs = await storage.in_session(request_object.read, issuer, client, unverified_jwt)
    return AskedParameters(client, Parameters(pairs), is_signed=True)


async def _resume(storage: Storage, issuer: Issuer, handle: str) -> AskedParameters:
    row, pairs = await storage.in_session(_find_kept, issuer, handle)
    parameters = Parameters(pairs)
    client = await checks.prove_client(storage, issuer, parameters.require("client_id"))
    return AskedParameters(
        client,
        parameters,
        row,
        handle,
        row.pushed_request_id,
        row.is_signed,
        row.device_request_id,
    )


def _find_kept(session: Session, issuer: Issuer, handle: str) -> tuple[AuthorizationRequest, Pairs]:
    """Return a kept request and its parameters."""
    row = pending.get(session, issuer, "authorize", handle)
    return row, pending.parameters_of(session, row)


async def keep(request: ProtocolRequest, storage: Storage, asked: AskedParameters) -> str:
    """Keep a request while the person answers a page; return its handle."""
    if asked.handle is not None:
        return asked.handle
    return await storage.in_session(_store, request.issuer, asked, request.remote_addr)


def _store(
    session: Session, issuer: Issuer, asked: AskedParameters, remote_addr: str | None
) -> str:
    if asked.pushed_id is not None:
        pushed.hold(session, asked.pushed_id)
    return pending.store(
        session,
        issuer,
        "authorize",
        asked.parameters.pairs,
        remote_addr,
        pushed_id=asked.pushed_id,
        is_signed=asked.is_signed,
    )


def answers(asked: AskedParameters, visitor: SignedIn | None) -> Answers | None:
    """Return what the person answered so far; None: they were not asked yet."""
    if asked.row is None or asked.handle is None:
        return None
    return pending.answers_of(asked.row, asked.handle, visitor.session_id if visitor else None)
