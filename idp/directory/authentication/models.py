"""Sign-ins that one device requests and another one approves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Digest, Id, reference


class QrSignIn(Base):
    """A sign-in that a device requests by a QR code and a signed-in person approves or denies."""

    __tablename__ = "qr_sign_in"
    concerns_tokens = False

    id: Mapped[Id]
    handle_hash: Mapped[Digest] = mapped_column(unique=True)
    """SHA-256 of what the code shows; it allows answering, and nothing else."""
    secret_hash: Mapped[Digest]
    """SHA-256 of the secret that only the device knows."""
    number: Mapped[str] = mapped_column(String(10))
    """Number shown on both devices, to be compared."""
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    remote_addr: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    user_id: Mapped[int | None] = reference("user.id")
    """The person who approved; empty: nobody yet."""
    security_stamp: Mapped[str | None] = mapped_column(String(64))
    denied_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
