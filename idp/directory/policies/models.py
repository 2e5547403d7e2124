"""The policy of a tenant, or of the platform: one row, or none."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id
from idp.platform.stamps import Stamp


class Policy(Base):
    """What a tenant requires; empty columns add nothing to the policy of the platform.

    The row of tenant 1 is that of the platform: the floor of all others.
    """

    __tablename__ = "sign_in_policy"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("tenant.id", ondelete="CASCADE"), unique=True
    )
    password_length: Mapped[int | None] = mapped_column(Integer)
    """Characters of a new password, at least."""
    password_classes: Mapped[int | None] = mapped_column(Integer)
    """Kinds of characters in a new password, at least: small, capital, digits, others."""
    password_history: Mapped[int | None] = mapped_column(Integer)
    """Last passwords, with the present one, that people cannot choose again."""
    password_expiry_days: Mapped[int | None] = mapped_column(Integer)
    """Days after which a password must be changed."""
    password_must_change: Mapped[bool | None]
    """Whether people change a password that somebody else has set."""
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
