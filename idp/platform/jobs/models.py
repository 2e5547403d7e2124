"""The outbox: work that a transaction leaves for the worker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id
from idp.platform.tracing import LONGEST_TRACEPARENT
from idp.platform.translation import restored


class OutboxMessage(Base):
    """One message; the payload is encrypted (purpose `outbox`) and erased on delivery."""

    __tablename__ = "outbox"
    concerns_tokens = False
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "lane",
            "due_at",
            sqlite_where=text("done_at IS NULL AND failed_at IS NULL"),
            postgresql_where=text("done_at IS NULL AND failed_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    lane: Mapped[str] = mapped_column(String(20))
    """`notify`, `gateway` or `build`."""
    job: Mapped[str] = mapped_column(String(100))
    payload_encrypted: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(default=clock.now)
    """When it may be tried (again); moved ahead while a worker holds it (the lease)."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    """Tries begun; with `claimed_by` it tells whose lease it is."""
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    last_error: Mapped[str | None] = mapped_column(String(500))
    """A sentence of ours; what the other side said may quote the message."""
    reason_parts: Mapped[dict[str, Any] | None]
    """The same as a sentence and its values, for pages in other languages: see `reason`."""
    trace: Mapped[str | None] = mapped_column(String(LONGEST_TRACEPARENT))
    """The step of a trace that it was left by (W3C Trace Context)."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    done_at: Mapped[datetime | None] = mapped_column(index=True)
    failed_at: Mapped[datetime | None] = mapped_column(index=True)
    """When it was given up; the payload stays until the clean-up, for `retry_failed`."""

    @property
    def reason(self) -> str:
        """Why the last attempt failed, for pages to translate; empty: it did not."""
        return restored(self.last_error or "", self.reason_parts)
