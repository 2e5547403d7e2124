"""Checking the current password before an important change."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.errors import Busy
from idp.platform.throttle import Address

THROTTLE = "change-password"


def matches(session: Session, user: User, password: str) -> bool:
    """Return whether this is the person's password.

    Raise TooManyRequests after too many wrong ones, and Busy under load, which does not count as an
    attempt. No transaction is open while the password is hashed, nor afterwards.
    """
    throttle = runtime.of(session).throttle
    keys = (str(user.id), Address.of(runtime.context_of(session).remote_addr))
    has_failures = throttle.check_delay(THROTTLE, *keys)
    session.commit()
    try:
        is_right = users.verify_password(session, user, password)
    except Busy:
        throttle.withdraw(THROTTLE, *keys)
        raise
    session.commit()
    if not is_right:
        throttle.failed(THROTTLE, *keys)
    elif has_failures:
        throttle.succeeded(THROTTLE, *keys)
    return is_right
