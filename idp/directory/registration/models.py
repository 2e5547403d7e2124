"""Codes that prove a telephone number or an e-mail address."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform.db import Base, Id


class VerificationCode(Base):
    """The one live code of an address, and how many were sent there lately."""

    __tablename__ = "verification_code"
    concerns_tokens = False
    __table_args__ = (UniqueConstraint("channel", "address"),)

    id: Mapped[Id]
    channel: Mapped[str] = mapped_column(String(10))
    """`sms`, `mail` or `sign-in`"""
    address: Mapped[str] = mapped_column(String(256))
    """E.164, or the form that e-mail addresses are compared by."""
    code_mac: Mapped[str] = mapped_column(String(100))
    key_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """SHA-256 of what the code is good together with; empty: good by itself."""
    tries_left: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    sent_at: Mapped[datetime] = mapped_column(index=True)
    sends: Mapped[int] = mapped_column(Integer)
    """Codes sent since `counted_since`."""
    counted_since: Mapped[datetime]
