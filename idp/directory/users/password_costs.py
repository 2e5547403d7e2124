"""How long imported hashes take, so that wrong passwords take equally long for every account."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.directory.users import passwords
from idp.directory.users.models import PasswordCost
from idp.platform.cache import looked_up


@looked_up("slowest password")
def slowest(session: Session) -> float:
    """Return how many seconds the slowest imported scheme takes; 0: none was imported; cached."""
    return session.scalar(select(func.max(PasswordCost.seconds))) or 0.0


def measure(stored: str) -> float:
    """Return how many seconds a wrong password takes with a stored hash."""
    started = time.perf_counter()
    passwords.matches(stored, "")
    return time.perf_counter() - started


def note(session: Session, seconds: Mapping[str, float]) -> None:
    """Keep how long schemes take, by `foreign.cost_of`; those that are known stay as they are."""
    query = select(PasswordCost.scheme).where(PasswordCost.scheme.in_(seconds))
    known = set(session.scalars(query))
    session.add_all(
        PasswordCost(scheme=scheme, seconds=value)
        for scheme, value in seconds.items()
        if scheme not in known
    )
    session.flush()
