"""Begin a request under a key, keep its answer, and return it to repetitions.

A request is claimed in a transaction of its own, so that a repetition that comes meanwhile is
refused and does not wait. The transaction that does the work then marks the claim as done. A
server that stops in between leaves a claim that is not done: it is given away when its lease is
over. One that stops after the work leaves a claim without an answer: repetitions are refused, for
the work must not be done twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import orjson
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from idp.platform import clock, runtime
from idp.platform.db import count_hits, insert
from idp.platform.errors import Conflict, Unprocessable
from idp.platform.idempotency.models import IdempotencyKey
from idp.platform.secrets import UnknownKeyError
from idp.platform.translation import N_

PURPOSE = "idempotent answer"
KEPT_SECONDS = 24 * 3600
LEASE_SECONDS = 300
"""Longer than any request is worked on."""
NAME = "Idempotency-Key"

_UNSYNCHRONIZED = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that names a key."""

    caller: str
    operation: str
    key: str
    content: bytes
    """Everything that a repetition must send again."""

    @property
    def key_hash(self) -> bytes:
        """Return what the key is found by: two callers, or two operations, never share one."""
        parts = (self.caller, self.operation, self.key)
        return hashlib.sha256(orjson.dumps(parts)).digest()

    @property
    def content_hash(self) -> bytes:
        """Return what tells a repetition from another request under the same key."""
        return hashlib.sha256(self.content).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: str


def claim(session: Session, attempt: Attempt) -> int | Answer:
    """Claim a request and return the id of the claim, or the answer that it has already.

    Raise Unprocessable for another request under the same key, and Conflict while the first one is
    under way, or when its answer was lost. The caller commits before it does the work.
    """
    _forget_expired(session, attempt)
    found = _find(session, attempt)
    if found is None:
        claimed = _insert(session, attempt)
        if claimed is not None:
            return claimed
        found = _find(session, attempt)  # the same request came at the same moment
    if found is None:
        raise _under_way()
    if found.content_hash != attempt.content_hash:
        raise Unprocessable.at(NAME, "This key was used for another request.")
    if found.answer_encrypted is not None:
        return _open(session, found.answer_encrypted)
    if found.is_done:
        raise _lost()
    if not _take_over(session, found.id):
        raise _under_way()
    return found.id


def claim_with_work(session: Session, attempt: Attempt) -> int | Answer:
    """Claim a request in the transaction that does it, or return the answer that it has already.

    A repetition that comes meanwhile waits for the end of that transaction, which keeps the answer
    before it is committed; when it is rolled back, so is the claim.
    """
    _forget_expired(session, attempt)
    claimed = _insert(session, attempt, is_done=True)
    if claimed is not None:
        return claimed
    found = _find(session, attempt)
    if found is None or found.answer_encrypted is None:
        raise _lost()
    return _open(session, found.answer_encrypted)


def mark_done(session: Session, claim_id: int) -> None:
    """Note that the request is carried out, in the transaction that does it; once."""
    done = (
        update(IdempotencyKey)
        .where(IdempotencyKey.id == claim_id, IdempotencyKey.is_done.is_(False))
        .values(is_done=True)
    )
    if not count_hits(session, done.execution_options(**_UNSYNCHRONIZED)):
        raise _under_way()


def keep(session: Session, claim_id: int, answer: Answer) -> None:
    """Keep the answer for repetitions, encrypted."""
    content = orjson.dumps([answer.status, dict(answer.headers), answer.body])
    sealed = runtime.of(session).keyring.encrypt(PURPOSE, content)
    session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.id == claim_id)
        .values(is_done=True, answer_encrypted=sealed),
        execution_options=_UNSYNCHRONIZED,
    )


def release(session: Session, claim_id: int) -> None:
    """Release a claim: the request was refused, and may be sent again under the same key."""
    session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.id == claim_id),
        execution_options=_UNSYNCHRONIZED,
    )


def _find(session: Session, attempt: Attempt) -> IdempotencyKey | None:
    query = select(IdempotencyKey).where(IdempotencyKey.key_hash == attempt.key_hash)
    return session.scalar(query.execution_options(populate_existing=True))


def _insert(session: Session, attempt: Attempt, *, is_done: bool = False) -> int | None:
    moment = clock.now()
    statement = insert(session, IdempotencyKey).values(
        key_hash=attempt.key_hash,
        content_hash=attempt.content_hash,
        created_at=moment,
        expires_at=moment + timedelta(seconds=KEPT_SECONDS),
        leased_until=_lease(moment),
        is_done=is_done,
    )
    return cast(
        "int | None",
        session.scalar(statement.on_conflict_do_nothing().returning(IdempotencyKey.id)),
    )


def _take_over(session: Session, claim_id: int) -> bool:
    """Take a claim whose lease is over; whoever still works on it holds the row."""
    moment = clock.now()
    taken = (
        update(IdempotencyKey)
        .where(
            IdempotencyKey.id == claim_id,
            IdempotencyKey.is_done.is_(False),
            IdempotencyKey.leased_until <= moment,
        )
        .values(leased_until=_lease(moment))
    )
    return count_hits(session, taken.execution_options(**_UNSYNCHRONIZED)) == 1


def _forget_expired(session: Session, attempt: Attempt) -> None:
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.key_hash == attempt.key_hash, IdempotencyKey.expires_at <= clock.now()
        ),
        execution_options=_UNSYNCHRONIZED,
    )


def _open(session: Session, stored: str) -> Answer:
    try:
        clear = runtime.of(session).keyring.decrypt(PURPOSE, stored)
    except UnknownKeyError:
        raise _lost() from None
    return Answer(*orjson.loads(clear))


def _lease(moment: datetime) -> datetime:
    return moment + timedelta(seconds=LEASE_SECONDS)


def _under_way() -> Conflict:
    return Conflict.at(NAME, "A request with this key is under way.", code="request_under_way")


def _lost() -> Conflict:
    return Conflict.at(
        NAME,
        N_("The request with this key was carried out, and its answer is no longer available."),
        code="answer_lost",
    )
