"""Making the demo's organisations and their history in a new installation."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from idp.config import Settings
from idp.demo import content, history, organisations
from idp.demo.organisations import Organisations
from idp.directory.seeding import service as seeding
from idp.directory.users import service as users
from idp.platform import clock
from idp.platform.audit import figures
from idp.platform.runtime import Runtime
from idp.platform.throttle import Throttle

MARK = "demo-organisations"
SHOWN = (content.ADMINISTRATOR, content.MEMBER)


@dataclass(frozen=True, slots=True)
class Account:
    """An account that setup prints."""

    username: str
    is_admin: bool
    organisation: str
    password: str | None = field(repr=False)
    """None: it was changed since."""


def begins_at(session: Session, settings: Settings) -> datetime | None:
    """Return when the past of a new demo begins; None: this installation gets none.

    Only a development installation that is about to be seeded for the first time gets one; other
    nodes wait until that is done.
    """
    if not settings.demo or settings.environment != "development":
        return None
    seeding.lock(session)
    if seeding.recorded(session):
        return None
    return clock.now() - timedelta(days=content.DAYS)


def create(session: Session, username: str) -> Organisations | None:
    """Create the organisations, whose people get the password of a demo user.

    Without that user, or the seeded administrator, there is nothing to create them with.
    """
    administrator = seeding.find_administrator(session)
    user = users.find_by_username(session, username)
    if administrator is None or user is None or user.password_hash is None:
        return None
    seeding.mark(session, MARK)
    return organisations.create(session, administrator.id, user.password_hash)


def play(process: Runtime, created: Organisations) -> None:
    """Add the past of the organisations, and count its figures."""
    # What was refused in the past must slow nobody down today.
    past = replace(process, throttle=Throttle())
    with past.sessions() as session:
        history.make(session, created)
    figures.count_due(process, threading.Event())


def accounts(session: Session, password: str | None) -> Sequence[Account]:
    """Return who can be signed in as, to be printed; nobody where there is no such demo.

    `password` is the one of the demo user, which people have until they change it.
    """
    if MARK not in seeding.recorded(session):
        return ()
    found = [(person, users.find_by_username(session, person.username)) for person in SHOWN]
    return [
        Account(
            person.username,
            person.role == "administrator",
            content.ORGANISATIONS[person.organisation],
            password if password and users.verify_password(session, user, password) else None,
        )
        for person, user in found
        if user is not None
    ]
