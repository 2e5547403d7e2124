"""Earlier passwords, which a policy may keep people from choosing again."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from idp.directory.users import passwords
from idp.directory.users.models import PasswordHistory, User
from idp.platform.errors import BadRequest
from idp.platform.translation import N_

USED_BEFORE = N_("You have used this password before. Choose another one.")


def last(session: Session, user: User, length: int) -> list[str]:
    """Return the hashes of the last passwords of a person, the present one first."""
    present = [user.password_hash] if user.password_hash is not None else []
    if length < 2:  # noqa: PLR2004 - one: the present password alone
        return present[:length]
    query = (
        select(PasswordHistory.password_hash)
        .where(PasswordHistory.user_id == user.id)
        .order_by(PasswordHistory.id.desc())
        .limit(length - 1)
    )
    return [*present, *session.scalars(query)]


def check(hashes: Iterable[str], password: str) -> None:
    """Refuse a password that is an earlier one; it takes as long as so many sign-ins.

    They are compared one after the other, with one of the places for hashing at a time.
    """
    if any(passwords.matches(stored, password) for stored in hashes):
        raise BadRequest(
            USED_BEFORE, code="password_used_before", fields={"password": [USED_BEFORE]}
        )


def keep(session: Session, user: User, length: int) -> None:
    """Keep the present password as an earlier one; those that no policy asks for are deleted."""
    if user.password_hash is not None and length > 1:
        session.add(PasswordHistory(user_id=user.id, password_hash=user.password_hash))
        session.flush()
    kept = (
        select(PasswordHistory.id)
        .where(PasswordHistory.user_id == user.id)
        .order_by(PasswordHistory.id.desc())
        .limit(max(length - 1, 0))
    )
    session.execute(
        delete(PasswordHistory).where(
            PasswordHistory.user_id == user.id, PasswordHistory.id.not_in(kept)
        )
    )
