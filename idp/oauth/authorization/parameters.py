"""Where the parameters of an authorization request come from."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.oauth import pending
from idp.oauth.models import AuthorizationRequest
from idp.oauth.pending import Answers
from idp.oauth.request import Pairs, Parameters, ProtocolRequest
from idp.oauth.visitor import SignedIn
from idp.platform.issuer import Issuer
from idp.platform.storage import Storage


@dataclass(frozen=True, slots=True)
class AskedParameters:
    """The parameters of a request, and where they were found."""

    parameters: Parameters
    row: AuthorizationRequest | None = None
    """The request as it was kept for a page; None: it came just now."""
    handle: str | None = None
    """By which the browser knows the kept request."""


async def read(request: ProtocolRequest, storage: Storage) -> AskedParameters:
    """Read the parameters of a request, or of the kept one that it continues."""
    sent = request.either
    handle = sent.get(pending.CONTINUE) if request.method == "GET" else None
    if handle is None:
        return AskedParameters(sent)
    row, pairs = await storage.in_session(_resume, request.issuer, handle)
    return AskedParameters(Parameters(pairs), row, handle)


def _resume(session: Session, issuer: Issuer, handle: str) -> tuple[AuthorizationRequest, Pairs]:
    """Return a kept request and its parameters."""
    row = pending.get(session, issuer, "authorize", handle)
    return row, pending.parameters_of(session, row)


async def keep(request: ProtocolRequest, storage: Storage, asked: AskedParameters) -> str:
    """Keep a request while the person answers a page; return its handle."""
    if asked.handle is not None:
        return asked.handle
    return await storage.in_session(
        pending.store,
        request.issuer,
        "authorize",
        asked.parameters.pairs,
        request.remote_addr,
    )


def answers(asked: AskedParameters, visitor: SignedIn | None) -> Answers | None:
    """Return what the person answered so far; None: they were not asked yet."""
    if asked.row is None or asked.handle is None:
        return None
    return pending.answers_of(asked.row, asked.handle, visitor.session_id if visitor else None)
