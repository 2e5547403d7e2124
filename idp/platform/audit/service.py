"""Write the audit trail, search it, and forget what is older than the retention."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.orm import Session

from idp.platform import clock, runtime
from idp.platform.audit import difference
from idp.platform.audit.difference import State
from idp.platform.audit.models import AuditEvent, AuditRetention
from idp.platform.audit.tags import Tag
from idp.platform.db import new_row, write
from idp.platform.runtime import RequestContext
from idp.platform.secrets import MASK

MAX_TEXT = 500
PREFIX = "audit_event__"
MAX_PAGE = 1000

# fmt: off
_SECRET_WORDS = frozenset((
    "assertion", "authorization", "bearer", "code", "cookie", "credential", "csrf", "handle",
    "hash", "jwt", "otp", "passcode", "passphrase", "passwd", "password", "pin", "secret", "seed",
    "signature", "stamp", "ticket", "token", "verifier",
))
# A key that ends so describes a secret and is not the secret itself.
_DESCRIBING_WORDS = frozenset((
    "at", "by", "changed", "count", "days", "expires", "format", "generation", "id", "ids", "kind",
    "length", "lifetime", "method", "name", "reason", "required", "seconds", "status", "type",
    "used",
))
# fmt: on
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class SecretInAuditError(Exception):
    """A detail key names a secret. A mistake of ours: describe the secret, never store it."""


def record(
    session: Session,
    tag: Tag,
    *,
    user_id: int | None = None,
    client_id: str | None = None,
    tenant_id: int | None = None,
    target: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Add an event to the caller's transaction, with the address and id of its request.

    `user_id`, `client_id` and `tenant_id` say who acted and where, `target` what it was done to
    (`user:7`); behind the gate of a management operation its caller acts unless said otherwise.
    Unverified text may be passed: it is cut to size and cleaned.
    """
    values = _columns(runtime.context_of(session), tag, user_id, client_id, tenant_id, target)
    values["details"] = _safe(session, details) if details else None
    write(session, _RECORD, values)


def record_change(
    session: Session,
    tag: Tag,
    target: str,
    before: State,
    after: State,
    *,
    private: Collection[str] = (),
    tenant_id: int | None = None,
    user_id: int | None = None,
) -> None:
    """Add an event of a change: `before` is empty for what is new, `after` for what is deleted.

    Its details are a list `changes`; see `difference.between`, also for `private`.
    """
    details = {"changes": difference.between(before, after, private)}
    record(session, tag, user_id=user_id, tenant_id=tenant_id, target=target, details=details)


def add(session: Session, columns: Mapping[str, Any]) -> None:
    """Add an event that is there as `columns` to the caller's transaction."""
    write(session, _RECORD, {name.removeprefix(PREFIX): v for name, v in columns.items()})


def columns(
    context: RequestContext,
    tag: Tag,
    *,
    client_id: str,
    user_id: int | None = None,
    tenant_id: int | None = None,
    target: str | None = None,
) -> dict[str, Any]:
    """Return an event as values for `db.AtomicWrite`, which adds it with its change."""
    values = _columns(context, tag, user_id, client_id, tenant_id, target)
    return {PREFIX + name: value for name, value in values.items()}


def _columns(
    context: RequestContext,
    tag: Tag,
    user_id: int | None,
    client_id: str | None,
    tenant_id: int | None,
    target: str | None,
) -> dict[str, Any]:
    return {
        "tag": tag.value,
        "user_id": context.user_id if user_id is None else user_id,
        "client_id": _clean(context.client_id if client_id is None else client_id, 200),
        "tenant_id": tenant_id,
        "target": _clean(target, 300),
        "remote_addr": _clean(context.remote_addr, 45),
        "request_id": _clean(context.request_id, 64),
    }


_RECORD = new_row(AuditEvent)


def search(  # noqa: PLR0913 - one argument for each thing to search by
    session: Session,
    *,
    tag: str | None = None,
    user_id: int | None = None,
    client_id: str | None = None,
    tenant_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    before_id: int | None = None,
) -> list[AuditEvent]:
    """List events, the newest first; `before_id` is the last one of the page before."""
    query = select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.id.desc())
    for column, sought in (
        (AuditEvent.tag, tag),
        (AuditEvent.user_id, user_id),
        (AuditEvent.client_id, client_id),
        (AuditEvent.tenant_id, tenant_id),
    ):
        if sought is not None:
            query = query.where(column == sought)
    if since is not None:
        query = query.where(AuditEvent.at >= since)
    if until is not None:
        query = query.where(AuditEvent.at < until)
    if before_id is not None:
        last = session.get(AuditEvent, before_id)
        if last is None:
            return []
        # Several nodes write: a later id may carry an earlier time.
        same_time = and_(AuditEvent.at == last.at, AuditEvent.id < last.id)
        query = query.where(or_(AuditEvent.at < last.at, same_time))
    return list(session.scalars(query.limit(max(1, min(limit, MAX_PAGE)))))


def remove_older_than(session: Session, days: int, *, limit: int = 500) -> int:
    """Delete a batch of events older than the retention and return their number.

    The row in `audit_retention` opens the triggers' guard for this transaction alone.
    """
    old = (
        select(AuditEvent.id)
        .where(AuditEvent.at < clock.now() - timedelta(days=days))
        .order_by(AuditEvent.at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    session.execute(insert(AuditRetention))
    removed = session.execute(
        delete(AuditEvent).where(AuditEvent.id.in_(select(old.c.id))).returning(AuditEvent.id),
        execution_options={"synchronize_session": False},
    ).all()
    session.execute(delete(AuditRetention), execution_options={"synchronize_session": False})
    return len(removed)


def _safe(session: Session, details: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _safe_value(session, key, value) for key, value in details.items()}


def _safe_value(session: Session, key: str, value: Any) -> Any:
    if names_secret(key):
        if runtime.of(session).settings.environment == "development":
            raise SecretInAuditError(key)
        return MASK
    if isinstance(value, Mapping):
        return _safe(session, value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe_value(session, key, item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    # Whatever a JWT was passed as: its header begins with {" in base64url.
    return MASK if text.startswith("eyJ") else _clean(text, MAX_TEXT)


def names_secret(key: str) -> bool:
    """Whether a key, in any spelling, names a secret rather than something about one."""
    words = [word.lower() for word in _WORD.findall(key)]
    if not words or words[-1] in _DESCRIBING_WORDS:
        return False
    return any(word in _SECRET_WORDS or word.removesuffix("s") in _SECRET_WORDS for word in words)


def _clean(text: str | None, size: int) -> str | None:
    """Cut to the column's size; PostgreSQL takes neither NUL nor lone surrogates."""
    if text is None:
        return None
    text = text[:size]
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
