"""Authenticator apps and recovery codes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id, reference


class Totp(Base):
    """An authenticator app that a person has confirmed with a code (RFC 6238)."""

    __tablename__ = "totp"
    concerns_tokens = False

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    name: Mapped[str] = mapped_column(String(100))
    """What the person calls it; may be empty."""
    secret_encrypted: Mapped[str] = mapped_column(String(200))
    """The shared secret (purpose `totp`)."""
    last_step: Mapped[int] = mapped_column(BigInt)
    """Time step of the last accepted code; an older or equal one is never accepted again."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_used_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """A code that replaces the second factor once, known by its MAC."""

    __tablename__ = "recovery_code"
    concerns_tokens = False

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    code_mac: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    used_at: Mapped[datetime | None]
