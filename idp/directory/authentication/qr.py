"""QR codes: a device without a sign-in shows one, a signed-in person approves it, once.

Everything that must happen once is a single UPDATE: the answer of the person, and the use.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from idp.directory.authentication.models import QrSignIn
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.secrets import digest, random_token
from idp.platform.throttle import Address

SECONDS = 120
MADE_PER_MINUTE = 30
POLLS_PER_MINUTE = 300
ANSWERED_PER_MINUTE = 30
MINUTE = 60
MAX_USER_AGENT = 300


class State(StrEnum):
    """The state of a code."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    DENIED = "denied"
    USED = "used"
    EXPIRED = "expired"


class NewCode(NamedTuple):
    """A new code: what it shows, what only its device knows, and the number to compare."""

    handle: str
    secret: str
    number: str


class Confirmed(NamedTuple):
    """The person who approved a sign-in, and their security stamp at that time."""

    user_id: int
    security_stamp: str


def make(session: Session, issuer_tenant_id: int) -> NewCode:
    """Create a code for a device."""
    _count(session, "qr made", MADE_PER_MINUTE)
    context = runtime.context_of(session)
    new = NewCode(random_token(16), random_token(), f"{secrets.randbelow(100):02}")
    session.add(
        QrSignIn(
            handle_hash=digest(new.handle),
            secret_hash=digest(new.secret),
            number=new.number,
            issuer_tenant_id=issuer_tenant_id,
            remote_addr=context.remote_addr,
            user_agent=(context.user_agent or "")[:MAX_USER_AGENT] or None,
            expires_at=clock.now() + timedelta(seconds=SECONDS),
        )
    )
    session.flush()
    return new


def find(session: Session, issuer_tenant_id: int, handle: str) -> QrSignIn | None:
    """Find a code in any state; TooManyRequests when it is polled too often."""
    _count(session, "qr asked", POLLS_PER_MINUTE)
    return session.scalar(select(QrSignIn).where(_matches(issuer_tenant_id, handle)))


def state_of(row: QrSignIn) -> State:
    """Return the state of a code."""
    if row.used_at is not None:
        return State.USED
    if row.denied_at is not None:
        return State.DENIED
    if row.expires_at <= clock.now():
        return State.EXPIRED
    return State.WAITING if row.user_id is None else State.CONFIRMED


def answer(
    session: Session, issuer_tenant_id: int, handle: str, user: User, *, allow: bool
) -> bool:
    """Approve or deny a code; return False when it can no longer be answered."""
    throttle = runtime.of(session).throttle
    throttle.hit("qr answered", str(user.id), ANSWERED_PER_MINUTE, MINUTE)
    moment = clock.now()
    values = (
        {"user_id": user.id, "security_stamp": user.security_stamp}
        if allow
        else {"denied_at": moment}
    )
    answered = session.scalar(
        update(QrSignIn)
        .where(
            _matches(issuer_tenant_id, handle),
            QrSignIn.user_id.is_(None),
            QrSignIn.denied_at.is_(None),
            QrSignIn.expires_at > moment,
        )
        .values(**values)
        .returning(QrSignIn.id),
        execution_options={"synchronize_session": False},
    )
    if answered is None:
        return False
    audit.record(
        session,
        Tag.QR_CONFIRMED if allow else Tag.QR_DENIED,
        user_id=user.id,
        tenant_id=issuer_tenant_id,
        target=f"user:{user.id}",
    )
    return True


def use(session: Session, issuer_tenant_id: int, handle: str, secret: str) -> Confirmed | None:
    """Use up a confirmed code; return None for a wrong device secret or a used code."""
    moment = clock.now()
    row = session.execute(
        update(QrSignIn)
        .where(
            _matches(issuer_tenant_id, handle),
            QrSignIn.secret_hash == digest(secret),
            QrSignIn.user_id.is_not(None),
            QrSignIn.used_at.is_(None),
            QrSignIn.expires_at > moment,
        )
        .values(used_at=moment)
        .returning(QrSignIn.user_id, QrSignIn.security_stamp),
        execution_options={"synchronize_session": False},
    ).one_or_none()
    return None if row is None else Confirmed(row.user_id, row.security_stamp or "")


def _matches(issuer_tenant_id: int, handle: str) -> ColumnElement[bool]:
    return and_(
        QrSignIn.handle_hash == digest(handle), QrSignIn.issuer_tenant_id == issuer_tenant_id
    )


def _count(session: Session, name: str, limit: int) -> None:
    address = Address.of(runtime.context_of(session).remote_addr)
    runtime.of(session).throttle.hit(name, address, limit, MINUTE)
