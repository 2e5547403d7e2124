"""Authenticator apps, passkeys and recovery codes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
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


class Passkey(Base):
    """A credential of Web Authentication, by which a person signs in at one issuer."""

    __tablename__ = "passkey"
    __table_args__ = (
        UniqueConstraint("rp_id", "credential_id"),
        Index("ix_passkey_issuer_tenant_id_id", "issuer_tenant_id", "id"),
    )
    concerns_tokens = False

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    issuer_tenant_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("tenant.id", ondelete="CASCADE")
    )
    """The issuer at which it was added, and is accepted."""
    rp_id: Mapped[str] = mapped_column(String(255))
    """Host name that browsers bind it to."""
    user_handle: Mapped[bytes] = mapped_column(LargeBinary(64))
    """What names the person in the authenticator: random, the same for all of their passkeys."""
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023))
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    """COSE_Key (RFC 9052 7)."""
    sign_count: Mapped[int] = mapped_column(BigInt)
    """What the authenticator counted at the last use; 0: it does not count."""
    aaguid: Mapped[str] = mapped_column(String(36))
    """Model of the authenticator, as it states it."""
    transports: Mapped[list[str]]
    backup_eligible: Mapped[bool]
    """Whether it may be copied to other devices; it never changes."""
    backed_up: Mapped[bool]
    name: Mapped[str] = mapped_column(String(100))
    """What the person calls it."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_used_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    """When its counter went back, as that of a copy does; it is not accepted any more."""


class RecoveryCode(Base):
    """A code that replaces the second factor once, known by its MAC."""

    __tablename__ = "recovery_code"
    concerns_tokens = False

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    code_mac: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    used_at: Mapped[datetime | None]
