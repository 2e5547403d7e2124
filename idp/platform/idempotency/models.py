"""Keys of requests that may come again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Digest, Id


class IdempotencyKey(Base):
    """A request that was begun under a key of its caller, with its answer once there is one."""

    __tablename__ = "idempotency_key"
    concerns_tokens = False

    id: Mapped[Id]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    """SHA-256 of caller, operation and key."""
    content_hash: Mapped[Digest]
    """SHA-256 of what was sent."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    leased_until: Mapped[datetime]
    """Until then the request counts as under way."""
    is_done: Mapped[bool] = mapped_column(default=False)
    """Set in the transaction that does the work, so both are there or neither."""
    answer_encrypted: Mapped[str | None]
    """Status, headers and body (purpose `idempotent answer`): they may hold a secret."""
