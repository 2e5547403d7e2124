"""The branding of a tenant: one row, or none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id
from idp.platform.stamps import Stamp


class Branding(Base):
    """What a tenant sets of the look of its pages and mails; what is empty has a default."""

    __tablename__ = "branding"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("tenant.id", ondelete="CASCADE"), unique=True
    )
    name: Mapped[str | None] = mapped_column(String(200))
    accent: Mapped[str | None] = mapped_column(String(7))
    """`#rrggbb`: of buttons and links."""
    accent_dark: Mapped[str | None] = mapped_column(String(7))
    """`#rrggbb`: of links on the dark ground; empty: derived from `accent`."""
    logo: Mapped[str | None] = mapped_column(String(40))
    """Name of a stored file, which is not deleted while it stands here."""
    icon: Mapped[str | None] = mapped_column(String(40))
    """Name of a stored file."""
    help_uri: Mapped[str | None] = mapped_column(String(2000))
    privacy_uri: Mapped[str | None] = mapped_column(String(2000))
    imprint_uri: Mapped[str | None] = mapped_column(String(2000))
    texts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """By language, then by place."""
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
