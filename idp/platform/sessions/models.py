"""Browser sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id, reference


class BrowserSession(Base):
    """A person signed in with a browser at one issuer; the cookie's value is kept as SHA-256."""

    __tablename__ = "browser_session"
    __table_args__ = (Index("ix_browser_session_last_seen_at_id", "last_seen_at", "id"),)
    concerns_tokens = False

    id: Mapped[Id]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    sid: Mapped[str] = mapped_column(String(64), unique=True)
    """Public id, the `sid` claim; says nothing about the cookie."""
    user_id: Mapped[int] = reference("user.id")
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    tenant_id: Mapped[int | None] = reference("tenant.id")
    """Membership chosen in this session."""
    security_stamp: Mapped[str] = mapped_column(String(64))
    auth_time: Mapped[datetime]
    """When the first factor was last proven."""
    acr: Mapped[str] = mapped_column(String(100))
    amr: Mapped[list[str]]
    mfa_at: Mapped[datetime | None]
    """When a second factor was last proven."""
    phr_at: Mapped[datetime | None]
    """When a passkey was last proven."""
    trusted_until: Mapped[datetime | None]
    """Until when policies require no second factor of it, because its device is remembered."""
    remember: Mapped[bool] = mapped_column(default=False)
    remote_addr: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When it ends without further use."""
    ends_at: Mapped[datetime | None]
    """When it ends at the latest; empty: at `expires_at`."""
    idle_minutes: Mapped[int | None] = mapped_column(Integer)
    """Minutes without use after which it ends; empty: none."""
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
