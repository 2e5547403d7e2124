"""Make keys that work once, use them, and remember what was seen once.

Of a key only the SHA-256 is kept. Whether a use is the first is decided by the database, in one
statement, so that it holds over threads, workers and nodes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from idp.platform import clock, secrets
from idp.platform.db import OnceWrite, first_row, run
from idp.platform.onetime.models import OneTimeKey

_CLAIM = first_row(OneTimeKey, "purpose", "key_hash", "created_at", "expires_at", "used_at")


def issue(
    session: Session,
    purpose: str,
    *,
    user_id: int,
    security_stamp: str,
    seconds: int,
) -> str:
    """Make a key for one purpose of one person and return its value, which is kept nowhere.

    Who uses it must compare `security_stamp` with the person's: it has changed when the password
    was changed in between.
    """
    value = secrets.random_token()
    session.add(
        OneTimeKey(
            purpose=purpose,
            key_hash=secrets.digest(value),
            user_id=user_id,
            security_stamp=security_stamp,
            expires_at=clock.now() + timedelta(seconds=seconds),
        )
    )
    session.flush()
    return value


def peek(session: Session, purpose: str, token: str) -> OneTimeKey | None:
    """Find an unused and unexpired key without using it, to show a form."""
    return session.scalar(select(OneTimeKey).where(_usable(purpose, token, clock.now())))


def use(session: Session, purpose: str, token: str) -> OneTimeKey | None:
    """Use a key up; None when it is unknown, expired or used already."""
    moment = clock.now()
    key_id = session.scalar(
        update(OneTimeKey)
        .where(_usable(purpose, token, moment))
        .values(used_at=moment)
        .returning(OneTimeKey.id),
        execution_options={"synchronize_session": False},
    )
    if key_id is None:
        return None
    return session.get_one(OneTimeKey, key_id, populate_existing=True)


def withdraw(session: Session, purpose: str, user_id: int) -> None:
    """Make the unused keys of a person worthless."""
    session.execute(
        update(OneTimeKey)
        .where(
            OneTimeKey.purpose == purpose,
            OneTimeKey.user_id == user_id,
            OneTimeKey.used_at.is_(None),
        )
        .values(used_at=clock.now())
    )


def claim(session: Session, purpose: str, key: str, expires_at: datetime) -> bool:
    """Remember a key that others made; False when it was seen before.

    `key` names the sender too.
    """
    values = claimed(purpose, key, expires_at)
    return bool(run(session, _CLAIM[session.get_bind().dialect.name], values))


CLAIM = OnceWrite(
    OneTimeKey.key_hash,
    OneTimeKey.purpose,
    OneTimeKey.created_at,
    OneTimeKey.expires_at,
    OneTimeKey.used_at,
)
"""The same for `Storage.write_once`, with the values of `claimed`; all of one purpose."""


def claimed(purpose: str, key: str, expires_at: datetime) -> dict[str, Any]:
    """Return the row of a key that others made."""
    moment = clock.now()
    return {
        "purpose": purpose,
        "key_hash": secrets.digest(key),
        "created_at": moment,
        "expires_at": expires_at,
        "used_at": moment,  # never to be taken for a key that was issued
    }


def _usable(purpose: str, token: str, moment: datetime) -> ColumnElement[bool]:
    return and_(
        OneTimeKey.purpose == purpose,
        OneTimeKey.key_hash == secrets.digest(token),
        OneTimeKey.used_at.is_(None),
        OneTimeKey.expires_at > moment,
    )
