"""Traces of refusals, as many as the audit log can bear."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import TooManyRequests
from idp.platform.metrics.declarations import REPLAYS
from idp.platform.throttle import Address

ROWS_PER_MINUTE = 10


def client_refused(
    session: Session, client_id: str, remote_addr: str | None, reason: str, *, is_known: bool
) -> None:
    """Record a failed client authentication.

    A flood of failures from one address leaves ten rows a minute for each client that exists, and
    as many for all invented names together, not a flood of rows.
    """
    name = client_id[:200] if is_known else ""
    if _is_flood(session, "client-refused", name, remote_addr):
        return
    audit.record(session, Tag.CLIENT_REFUSED, client_id=client_id[:200], details={"reason": reason})


def registration_refused(
    session: Session, client_id: str, remote_addr: str | None, reason: str
) -> None:
    """Record a wrong token at the endpoints of registration, as `client_refused` does."""
    if _is_flood(session, "registration-refused", "", remote_addr):
        return
    name = client_id[:200] or None
    audit.record(session, Tag.REGISTRATION_DENIED, client_id=name, details={"reason": reason})


def proof_replayed(session: Session, client_id: str, remote_addr: str | None, jkt: str) -> None:
    """Count a DPoP proof that came twice, and record it as `client_refused` does."""
    runtime.of(session).counts.add(REPLAYS, "proof")
    if not _is_flood(session, "proof-replayed", client_id, remote_addr):
        audit.record(session, Tag.PROOF_REPLAYED, client_id=client_id, details={"jkt": jkt})


def _is_flood(session: Session, scope: str, name: str, remote_addr: str | None) -> bool:
    try:
        runtime.of(session).throttle.hit(
            scope, (name, Address.of(remote_addr)), ROWS_PER_MINUTE, 60
        )
    except TooManyRequests:
        return True
    return False
