"""Whether a person must choose a new password before they go on: it is old, or known by others."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy.orm import Session

from idp.directory.policies import snapshot as policies
from idp.directory.policies.rules import Breached
from idp.directory.users import passwords
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.errors import Unavailable


class Due(StrEnum):
    """Why a new password is due."""

    SET_BY_OTHERS = "set by others"
    EXPIRED = "expired"


def due(session: Session, user: User) -> Due | None:
    """Return why the password of a person must be changed; None: it need not be.

    No query where passwords do not expire anywhere.
    """
    if user.password_hash is None:
        return None
    if user.must_change_password:
        return Due.SET_BY_OTHERS
    if not policies.any_expiry(session):
        return None
    days = policies.of_user(session, user.id).password_expiry_days
    since = user.password_changed_at or user.created_at
    is_old = days > 0 and since + timedelta(days=days) <= clock.now()
    return Due.EXPIRED if is_old else None


def after_use(session: Session, user: User, password: str) -> str:
    """Return what follows a sign-in with a password: nothing, unless it is stolen (see `Breached`).

    No query where no policy is set. Without the list of stolen passwords people still sign in.
    """
    if not policies.any_set(session):
        return Breached.OFF
    listed = runtime.of(session).settings.breached_passwords
    try:
        is_stolen = passwords.is_stolen(password, Path(listed) if listed else None)
    except Unavailable:
        is_stolen = passwords.is_stolen(password)
    return policies.of_user(session, user.id).breached_at_sign_in if is_stolen else Breached.OFF
