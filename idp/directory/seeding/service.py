"""Plant every seed once: missing ones are added, deleted ones never come back."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.seeding.models import SeedMark
from idp.directory.users.models import User

_LOCK = 0x6964_7002


def lock(session: Session) -> None:
    """Let one node plant at a time, until the end of this transaction."""
    connection = session.connection()
    # SQLite needs nothing more: BEGIN IMMEDIATE has locked the file.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def planted(session: Session) -> dict[str, int | None]:
    """Tell what was planted so far, with the ids of the rows."""
    rows = session.execute(select(SeedMark.name, SeedMark.row_id))
    return {name: row_id for name, row_id in rows}  # noqa: C416 - rows are no pairs to dict()


def mark(session: Session, name: str, row_id: int | None = None) -> None:
    """Remember that a seed was planted."""
    session.add(SeedMark(name=name, row_id=row_id))


def find_administrator(session: Session) -> User | None:
    """Return the administrator that was seeded, whatever the name is today; None when deleted."""
    return session.scalars(
        select(User)
        .join(SeedMark, SeedMark.row_id == User.id)
        .where(SeedMark.name == "administrator", User.deleted_at.is_(None))
    ).one_or_none()
