"""The condition in SQL and the question to a row agree."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.standing import is_active
from idp.platform import clock


def test_queries_and_rows_agree_on_who_may_act(session: Session) -> None:
    now = clock.now()
    ends: tuple[datetime | None, ...] = (
        None,
        now - timedelta(hours=1),
        now + timedelta(hours=1),
    )
    rows: list[User] = []
    for deleted, disabled, end in product((False, True), (False, True), ends):
        person = users.create(session, users.NewUser(username=f"person-{len(rows)}"))
        person.deleted_at = now if deleted else None
        person.is_disabled = disabled
        person.lockout_end = end
        rows.append(person)
    session.flush()
    ids = [person.id for person in rows]
    active = set(session.scalars(select(User.id).where(User.id.in_(ids), is_active(now))))
    assert active == {person.id for person in rows if person.may_sign_in}
    assert len(active) == 2
