"""Enrolment codes: handed to a person by an administrator, to set up a second factor with.

A person who has such a code, used or not, signs in with it besides the password until they have a
second factor; so a password alone opens nothing after their factors were reset.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from idp.directory.factors.models import EnrolmentCode
from idp.directory.factors.recovery import ALPHABET, LENGTH
from idp.platform import clock, runtime
from idp.platform.db import count_hits

PURPOSE = "enrolment code"
HOURS = 24


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code, to be shown once."""

    code: str = field(repr=False)
    expires_at: datetime


def issue(session: Session, user_id: int) -> NewCode:
    """Make a code of a person in place of the last one; the caller has locked the account."""
    forget(session, user_id)
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    expires_at = clock.now() + timedelta(hours=HOURS)
    code_mac = runtime.of(session).keyring.mac(PURPOSE, _bound(user_id, code))
    session.add(EnrolmentCode(user_id=user_id, code_mac=code_mac, expires_at=expires_at))
    session.flush()
    return NewCode(f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}", expires_at)


def use(session: Session, user_id: int, code: str) -> bool:
    """Use the code of a person up; return False for a wrong, an old or a used one."""
    row = find(session, user_id)
    if row is None or row.expires_at <= clock.now():
        return False
    keyring = runtime.of(session).keyring
    if not keyring.mac_matches(PURPOSE, _bound(user_id, code), row.code_mac):
        return False
    statement = update(EnrolmentCode).where(
        EnrolmentCode.id == row.id, EnrolmentCode.used_at.is_(None)
    )
    return count_hits(session, statement.values(used_at=clock.now())) > 0


def find(session: Session, user_id: int) -> EnrolmentCode | None:
    """Return the code of a person, used or not; None where they need none."""
    query = select(EnrolmentCode).where(EnrolmentCode.user_id == user_id)
    return session.scalars(query).one_or_none()


def forget(session: Session, user_id: int) -> None:
    """Delete the code of a person, who then needs none."""
    session.execute(delete(EnrolmentCode).where(EnrolmentCode.user_id == user_id))


def _bound(user_id: int, code: str) -> str:
    return f"{user_id}\0{code}"
