"""The outbox: work that a transaction leaves for the worker."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id


class OutboxMessage(Base):
    """One message; the payload is encrypted (purpose `outbox`) and erased on delivery."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "lane",
            "due_at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    lane: Mapped[str] = mapped_column(String(20))
    """`notify` or `build`."""
    job: Mapped[str] = mapped_column(String(100))
    payload_encrypted: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(default=clock.now)
    """When it may be tried; moved ahead while a worker holds it (the lease)."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    last_error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    done_at: Mapped[datetime | None] = mapped_column(index=True)
    failed_at: Mapped[datetime | None]
