"""The audit trail."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id

NOT_OF_CLIENTS = "tag NOT LIKE 'client:%'"
"""Leaves out what clients do at the protocol: most events, each of which would pay for an index."""

SIGN_INS = "tag = 'user:session:started'"
"""Of people with many other events the last sign-in would be far to seek."""


class AuditEvent(Base):
    """Something that happened. Rows are never changed; triggers refuse UPDATE and DELETE."""

    __tablename__ = "audit_event"
    concerns_tokens = False
    __table_args__ = (
        Index("ix_audit_event_tag_at", "tag", "at"),
        Index("ix_audit_event_user_id_at", "user_id", "at"),
        Index("ix_audit_event_client_id_at", "client_id", "at"),
        Index("ix_audit_event_tenant_id_at", "tenant_id", "at"),
        Index(
            "ix_audit_event_target_at",
            "target",
            "at",
            sqlite_where=text(NOT_OF_CLIENTS),
            postgresql_where=text(NOT_OF_CLIENTS),
        ),
        Index(
            "ix_audit_event_sign_in",
            "user_id",
            "at",
            sqlite_where=text(SIGN_INS),
            postgresql_where=text(SIGN_INS),
        ),
        Index("ix_audit_event_request_id", "request_id"),
    )

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    tag: Mapped[str] = mapped_column(String(100))
    """`subject:object:action`"""
    user_id: Mapped[int | None] = mapped_column(BigInt)
    """Who did it; no foreign key, the audit log outlives its people."""
    client_id: Mapped[str | None] = mapped_column(String(200))
    tenant_id: Mapped[int | None] = mapped_column(BigInt)
    target: Mapped[str | None] = mapped_column(String(300))
    """What it was done to, for example `user:7`."""
    remote_addr: Mapped[str | None] = mapped_column(String(45))
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any] | None]


class AuditRetention(Base):
    """Holds a row only inside the transaction that removes old events (see `triggers`)."""

    __tablename__ = "audit_retention"

    id: Mapped[Id]


class DailyFigure(Base):
    """How many events of a kind a day (UTC) had, in a tenant or altogether."""

    __tablename__ = "daily_figure"
    __table_args__ = (UniqueConstraint("tenant_id", "day", "tag"),)
    concerns_tokens = False

    id: Mapped[Id]
    day: Mapped[date] = mapped_column(Date)
    tenant_id: Mapped[int] = mapped_column(BigInt)
    """0: all tenants, and events of none. No foreign key: figures outlive their tenants."""
    tag: Mapped[str] = mapped_column(String(100))
    """Empty: the day was counted; each counted day has such a row."""
    count: Mapped[int]
    counted_at: Mapped[datetime] = mapped_column(index=True)
    """When the figure changed last; of the row without a tag, when the day was counted last."""
