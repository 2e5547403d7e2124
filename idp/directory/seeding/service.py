"""The record of seeds: each is added once, and deleted ones are never added again."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.seeding.models import SeedMark
from idp.directory.users.models import User

_LOCK = 0x6964_7002


def lock(session: Session) -> None:
    """Lock seeding for other nodes until the end of this transaction."""
    connection = session.connection()
    # SQLite needs nothing more: BEGIN IMMEDIATE has locked the file.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def recorded(session: Session) -> dict[str, int | None]:
    """Return the seeds added so far, with the ids of their rows."""
    rows = session.execute(select(SeedMark.name, SeedMark.row_id))
    return {name: row_id for name, row_id in rows}  # noqa: C416 - rows are no pairs to dict()


def mark(session: Session, name: str, row_id: int | None = None) -> None:
    """Record that a seed was added."""
    session.add(SeedMark(name=name, row_id=row_id))


def find_administrator(session: Session) -> User | None:
    """Return the seeded administrator, even when renamed; None when deleted."""
    return session.scalars(
        select(User)
        .join(SeedMark, SeedMark.row_id == User.id)
        .where(SeedMark.name == "administrator", User.deleted_at.is_(None))
    ).one_or_none()
