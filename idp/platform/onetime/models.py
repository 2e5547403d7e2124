"""Keys that work once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id, reference


class OneTimeKey(Base):
    """A mailed link or a seen `jti`, known by its SHA-256 within its purpose."""

    __tablename__ = "one_time_key"
    concerns_tokens = False
    happens_once = True
    __table_args__ = (UniqueConstraint("purpose", "key_hash"),)

    id: Mapped[Id]
    purpose: Mapped[str] = mapped_column(String(50))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    user_id: Mapped[int | None] = reference("user.id")
    security_stamp: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
