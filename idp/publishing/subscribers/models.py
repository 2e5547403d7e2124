"""Subscriptions of mail addresses to APIs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id, reference


class Subscription(Base):
    """An address whose owner confirmed that they want mails about an API."""

    __tablename__ = "subscription"
    __table_args__ = (UniqueConstraint("api_resource_id", "address_key"),)

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    address: Mapped[str] = mapped_column(String(320))
    address_key: Mapped[str] = mapped_column(String(320))
    locale: Mapped[str] = mapped_column(String(8))
    """Language of the mails."""
    told_of: Mapped[int] = mapped_column(default=0)
    """Number of the last publication that a mail was queued for: there is one mail for each."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
