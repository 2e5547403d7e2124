"""Whether a person must choose a new password before they go on."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from idp.directory.policies import snapshot as policies
from idp.directory.users.models import User
from idp.platform import clock


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
