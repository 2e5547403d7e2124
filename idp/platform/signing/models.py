"""Signing keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id


class SigningKey(Base):
    """A key of one algorithm: next, active, retired, gone or revoked.

    The private part is encrypted, and erased once the key is gone or revoked; the row stays, so
    that the same key in the keys folder is not taken for a new one.
    """

    __tablename__ = "signing_key"
    __table_args__ = (
        Index(
            "uq_signing_key_active_alg",
            "alg",
            unique=True,
            sqlite_where=text("status = 'active'"),
            postgresql_where=text("status = 'active'"),
        ),
        Index(
            "uq_signing_key_next_alg",
            "alg",
            unique=True,
            sqlite_where=text("status = 'next'"),
            postgresql_where=text("status = 'next'"),
        ),
    )
    configuration = True

    id: Mapped[Id]
    kid: Mapped[str] = mapped_column(String(64), unique=True)
    """RFC 7638 thumbprint."""
    alg: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    public_jwk: Mapped[dict[str, Any]]
    private_encrypted: Mapped[str | None]
    """PKCS #8 (purpose `signing key`)."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    publish_until: Mapped[datetime | None]
    """A retired key stays in the JWKS until the last token signed with it has expired."""
