"""Recovery codes: made together, shown once, each used once in place of the second factor."""

from __future__ import annotations

import secrets

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from idp.directory.factors.models import Passkey, RecoveryCode, Totp
from idp.platform import clock, runtime

PURPOSE = "recovery code"
NUMBER = 10
FEW = 3
"""How many are left when the person is asked to make new ones."""
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's Base32, without letters that look like digits: five bits each."""
LENGTH = 10
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})


def replace_all(session: Session, user_id: int) -> list[str]:
    """Make new codes of a person in place of the old ones and return them."""
    keyring = runtime.of(session).keyring
    forget(session, user_id)
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(NUMBER)]
    session.add_all(
        RecoveryCode(user_id=user_id, code_mac=keyring.mac(PURPOSE, _bound(user_id, code)))
        for code in codes
    )
    session.flush()
    return [f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}" for code in codes]


def read(text: str) -> str | None:
    """Return a typed code in its normal form; None when it cannot be one."""
    code = text.upper().translate(_READ_AS)
    return code if len(code) == LENGTH and not set(code) - set(ALPHABET) else None


def use(session: Session, user_id: int, code: str) -> bool:
    """Use a code of a person up; return False for a wrong or a used one."""
    keyring = runtime.of(session).keyring
    query = select(RecoveryCode.id, RecoveryCode.code_mac)
    rows = session.execute(
        query.where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    ).all()
    for row_id, code_mac in rows:
        if keyring.mac_matches(PURPOSE, _bound(user_id, code), code_mac):
            return _spend(session, row_id)
    return False


def count_left(session: Session, user_id: int) -> int:
    """Return how many codes a person has left."""
    query = select(func.count()).select_from(RecoveryCode)
    return (
        session.scalar(query.where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)))
        or 0
    )


def forget(session: Session, user_id: int) -> None:
    """Delete the codes of a person."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def forget_without_factor(session: Session) -> None:
    """Delete the codes of people who have neither an authenticator app nor a passkey."""
    has_app = exists().where(Totp.user_id == RecoveryCode.user_id)
    has_passkey = exists().where(Passkey.user_id == RecoveryCode.user_id)
    session.execute(
        delete(RecoveryCode).where(~has_app, ~has_passkey),
        execution_options={"synchronize_session": False},
    )


def count_outdated(session: Session) -> int:
    """Return of how many people unused codes were hashed under an older root secret."""
    keyring = runtime.of(session).keyring
    current = f"{keyring.current}."
    query = select(func.count(RecoveryCode.user_id.distinct())).where(
        RecoveryCode.used_at.is_(None), ~RecoveryCode.code_mac.startswith(current, autoescape=True)
    )
    return session.scalar(query) or 0


def _spend(session: Session, row_id: int) -> bool:
    spent = session.scalar(
        update(RecoveryCode)
        .where(RecoveryCode.id == row_id, RecoveryCode.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(RecoveryCode.id),
        execution_options={"synchronize_session": False},
    )
    return spent is not None


def _bound(user_id: int, code: str) -> str:
    return f"{user_id}\0{code}"
