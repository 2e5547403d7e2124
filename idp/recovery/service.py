"""What has to follow when the past comes back: a restored backup, or a failover that lost writes.

Tokens that were issued in the time that was lost still name ids, sessions and keys; what was ended
in it is valid again. Everything here is done in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Delete, Update, delete, func, select, update
from sqlalchemy.orm import Session

from idp.directory.authentication.models import QrSignIn, SignInAttempt
from idp.directory.clients.models import ClientSecret
from idp.directory.devices.models import Device
from idp.directory.registration.models import VerificationCode
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.oauth.models import (
    AuthorizationCode,
    AuthorizationRequest,
    DeviceRequest,
    Grant,
    PushedRequest,
    ReferenceToken,
)
from idp.platform import clock, ids
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import ConfigurationVersion, bump_configuration, count_hits
from idp.platform.errors import Unprocessable
from idp.platform.integers import INT32_MAX, INT64_MAX
from idp.platform.onetime.models import OneTimeKey
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing import service as signing
from idp.platform.signing.algorithms import ALGORITHMS
from idp.platform.signing.models import SigningKey
from idp.recovery.hints import Event, Hints

IDS = 1_000_000
IN_CONTRACTS = frozenset(
    {
        *("api_resource", "application", "bundle", "client", "identity_resource", "menu"),
        *("privilege", "role", "tenant", "user"),
    }
)
"""Tables whose ids are integers of 32 bits in the REST contracts."""
REASON = "the database was restored"
BATCH = 500


@dataclass(frozen=True, slots=True)
class Choices:
    """What an operator chooses."""

    ids: int = IDS
    """How far ids jump ahead."""
    highest: Mapping[str, int] = field(default_factory=dict)
    """Highest ids by table that are known to have been assigned."""
    keep_sessions: bool = False
    revoked: Sequence[str] = ()
    """Ids of keys."""
    hints: Hints = field(default_factory=Hints)
    dry_run: bool = False
    """Whether the caller rolls everything back; then sequences, which would stay, do not jump."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done."""

    since: datetime | None
    """The state of the database is from this moment; None: it is unknown."""
    ended: Mapping[str, int]
    """Number of rows by what they are."""
    first_ids: Mapping[str, int]
    """The lowest id that a new row of each table may get."""
    replaced_keys: Sequence[str]
    revoked_keys: Sequence[str]
    unknown_keys: Sequence[str]
    """Revoked ones that this database does not have."""
    deleted_users: Sequence[int]
    unknown_users: Sequence[int]
    """Deleted ones that this database does not have."""
    review: Sequence[Event]
    """What was taken away in the time that was lost, and is back."""


def recover(session: Session, choices: Choices, *, since: datetime | None = None) -> Recovered:
    """Do what has to follow; the caller commits.

    `since`: when the state of the database was saved; by default the time of its last event.
    """
    since = since or session.scalar(select(func.max(AuditEvent.at)))
    first_ids = _jump(session, choices)
    ended = _end_what_is_used_once(session)
    if not choices.keep_sessions:
        ended |= _end_access(session)
    revoked, unknown_keys = _revoke(session, {*choices.revoked, *choices.hints.revoked_keys})
    replaced = _rotate(session)
    deleted, unknown_users = _delete(session, choices.hints.deleted_users)
    done = Recovered(
        since=since,
        ended=ended,
        first_ids=first_ids,
        replaced_keys=replaced,
        revoked_keys=revoked,
        unknown_keys=unknown_keys,
        deleted_users=deleted,
        unknown_users=unknown_users,
        review=_to_review(session, choices.hints.taken_away, since),
    )
    _record(session, done, choices)
    return done


def _jump(session: Session, choices: Choices) -> dict[str, int]:
    """Start ids above those that were assigned in the time that was lost.

    The number of the configuration jumps as well, since nodes that know a later one would take a
    change for one that they have seen.
    """
    connection = session.connection()
    tables = ids.numbered(connection)
    found = ids.highest(connection, tables)
    last = {
        name: max(number, choices.highest.get(name, 0)) + choices.ids
        for name, number in found.items()
    }
    for name, number in last.items():
        largest = INT32_MAX if name in IN_CONTRACTS else INT64_MAX
        if number > largest:
            raise Unprocessable(
                f"Ids of {name} would pass {largest}, the largest that it can have."
            )
    if not choices.dry_run:
        for table in tables:
            ids.start_above(connection, table, last[table.name])
    bump_configuration(session)
    session.execute(
        update(ConfigurationVersion).values(version=ConfigurationVersion.version + choices.ids)
    )
    return {name: number + 1 for name, number in last.items()}


def _end_what_is_used_once(session: Session) -> dict[str, int]:
    """End codes, links and requests that wait: some were used in the time that was lost."""
    now = clock.now()
    statements: dict[str, Update | Delete] = {
        "codes": update(AuthorizationCode)
        .where(AuthorizationCode.used_at.is_(None), AuthorizationCode.expires_at > now)
        .values(expires_at=now),
        "links": update(OneTimeKey)
        .where(OneTimeKey.used_at.is_(None), OneTimeKey.expires_at > now)
        .values(used_at=now),
        "verification_codes": update(VerificationCode)
        .where(VerificationCode.used_at.is_(None), VerificationCode.expires_at > now)
        .values(used_at=now),
        "qr_sign_ins": update(QrSignIn)
        .where(QrSignIn.used_at.is_(None), QrSignIn.expires_at > now)
        .values(expires_at=now),
        "sign_ins_under_way": update(SignInAttempt)
        .where(SignInAttempt.used_at.is_(None), SignInAttempt.expires_at > now)
        .values(expires_at=now),
        "waiting_requests": delete(AuthorizationRequest),
        "pushed_requests": delete(PushedRequest),
        "device_requests": delete(DeviceRequest),
        "devices": delete(Device),  # their cookies have changed since
    }
    return _count(session, statements)


def _end_access(session: Session) -> dict[str, int]:
    """End sessions, grants and tokens that are looked up here."""
    now = clock.now()
    statements: dict[str, Update | Delete] = {
        "sessions": update(BrowserSession)
        .where(BrowserSession.ended_at.is_(None), BrowserSession.expires_at > now)
        .values(ended_at=now),
        "grants": update(Grant)
        .where(Grant.revoked_at.is_(None), Grant.expires_at > now)
        .values(revoked_at=now, revoked_reason=REASON),
        "reference_tokens": update(ReferenceToken)
        .where(ReferenceToken.revoked_at.is_(None), ReferenceToken.expires_at > now)
        .values(revoked_at=now),
    }
    return _count(session, statements)


def _count(session: Session, statements: Mapping[str, Update | Delete]) -> dict[str, int]:
    options: dict[str, Any] = {"synchronize_session": False}
    return {
        name: count_hits(session, statement.execution_options(**options))
        for name, statement in statements.items()
    }


def _revoke(session: Session, kids: Collection[str]) -> tuple[list[str], list[str]]:
    """Revoke keys again; return those that are revoked now, and those that are not here."""
    known = set(session.scalars(select(SigningKey.kid).where(SigningKey.kid.in_(kids))))
    for kid in sorted(known):
        signing.revoke(session, kid)
    return sorted(known), sorted(set(kids) - known)


def _rotate(session: Session) -> list[str]:
    """Replace the keys that sign; return those that were replaced."""
    active = select(SigningKey.kid).where(SigningKey.status == "active").order_by(SigningKey.id)
    replaced = list(session.scalars(active))
    for alg in ALGORITHMS:
        signing.rotate(session, alg)
    return replaced


def _delete(session: Session, user_ids: Collection[int]) -> tuple[list[int], list[int]]:
    """Delete people again; return those who were deleted now, and those who are not here."""
    deleted: list[int] = []
    unknown = set(user_ids)
    for batch in _batches(sorted(user_ids)):
        for user in session.scalars(select(User).where(User.id.in_(batch)).order_by(User.id)):
            unknown.remove(user.id)
            if user.deleted_at is None:
                users.delete(session, user)
                deleted.append(user.id)
        session.flush()
        session.expunge_all()
    return deleted, sorted(unknown)


def _batches(numbers: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(numbers)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _to_review(session: Session, events: Sequence[Event], since: datetime | None) -> list[Event]:
    """Return what was taken away after the state was saved; of secrets those that are here."""
    later = [event for event in events if since is None or event.at > since]
    secret_ids = [event.secret_id for event in later if event.secret_id is not None]
    here: set[int] = set()
    for batch in _batches(secret_ids):
        here.update(session.scalars(select(ClientSecret.id).where(ClientSecret.id.in_(batch))))
    return [event for event in later if event.secret_id is None or event.secret_id in here]


def _record(session: Session, done: Recovered, choices: Choices) -> None:
    audit.record(
        session,
        Tag.DATABASE_RESTORED,
        details={
            "since": done.since.isoformat() if done.since else None,
            "until": clock.now().isoformat(),
            "ids": choices.ids,
            "sessions_kept": choices.keep_sessions,
            "revoked_keys": list(done.revoked_keys),
            "users_deleted": len(done.deleted_users),
        },
    )
