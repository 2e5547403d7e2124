"""Sign-ins under way: in a browser, and those that one device requests of another."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Digest, Id, reference


class SignInAttempt(Base):
    """A sign-in in a browser in which more is to be proven than a name and a password.

    It becomes a session in its last step, once. The value of its cookie is kept as SHA-256.
    """

    __tablename__ = "sign_in_attempt"
    concerns_tokens = False

    id: Mapped[Id]
    handle_hash: Mapped[Digest] = mapped_column(unique=True)
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    user_id: Mapped[int] = reference("user.id")
    security_stamp: Mapped[str] = mapped_column(String(64))
    """The person's stamp at the first proof; a changed one ends the attempt."""
    purpose: Mapped[str] = mapped_column(String(20))
    """What it was begun for; it serves nothing else."""
    proofs: Mapped[list[str]]
    """What was proven so far."""
    remember: Mapped[bool]
    remember_device: Mapped[bool] = mapped_column(default=False)
    """Whether the person chose not to be asked for the second factor on this device again."""
    client_id: Mapped[str | None] = mapped_column(String(200))
    """The application that requested the sign-in, for the audit log."""
    tries_left: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


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
