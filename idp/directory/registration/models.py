"""Codes that verify a phone number or an e-mail address."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform.db import Base, Id


class VerificationCode(Base):
    """A code that was sent to an address; several may be valid at a time."""

    __tablename__ = "verification_code"
    concerns_tokens = False
    __table_args__ = (Index("ix_verification_code_channel_address", "channel", "address"),)

    id: Mapped[Id]
    channel: Mapped[str] = mapped_column(String(10))
    """`sms`, `mail`, `sign-in`, `step-mail` or `step-sms`"""
    address: Mapped[str] = mapped_column(String(256))
    """E.164, or the normal form of an e-mail address."""
    code_mac: Mapped[str] = mapped_column(String(100))
    key_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """SHA-256 of the key that must come with the code; empty: none is needed."""
    tries_left: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
