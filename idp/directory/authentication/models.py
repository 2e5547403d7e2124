"""Sign-ins that one device asks for and another one allows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Digest, Id, reference


class QrSignIn(Base):
    """A device wants in and shows a code; a signed-in person looks at it and says yes or no."""

    __tablename__ = "qr_sign_in"
    concerns_tokens = False

    id: Mapped[Id]
    handle_hash: Mapped[Digest] = mapped_column(unique=True)
    """SHA-256 of what the code shows: whoever sees it may answer, and only that."""
    secret_hash: Mapped[Digest]
    """SHA-256 of what the device keeps to itself."""
    number: Mapped[str] = mapped_column(String(10))
    """Shown at both ends to be compared."""
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    remote_addr: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    user_id: Mapped[int | None] = reference("user.id")
    """Who said yes; empty: nobody yet."""
    security_stamp: Mapped[str | None] = mapped_column(String(64))
    denied_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
