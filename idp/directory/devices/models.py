"""Devices and the people who signed in with them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Digest, Id, reference


class Device(Base):
    """A browser that is known again at one issuer by a cookie; its values are kept as SHA-256."""

    __tablename__ = "device"
    concerns_tokens = False

    id: Mapped[Id]
    handle_hash: Mapped[Digest] = mapped_column(unique=True)
    """Of the first part of the cookie, which stays the same."""
    value_hash: Mapped[Digest]
    """Of the second part, which changes with every sign-in."""
    previous_hash: Mapped[Digest | None]
    """Of the value before; requests that were under way then still carry it."""
    changed_at: Mapped[datetime] = mapped_column(default=clock.now)
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)


class DeviceUser(Base):
    """A person who signed in with a device."""

    __tablename__ = "device_user"
    __table_args__ = (UniqueConstraint("device_id", "user_id"),)
    concerns_tokens = False

    id: Mapped[Id]
    device_id: Mapped[int] = reference("device.id")
    user_id: Mapped[int] = reference("user.id")
    remembered_at: Mapped[datetime | None]
    """When the person chose not to be asked for the second factor here; None: they are asked."""
    security_stamp: Mapped[str | None] = mapped_column(String(64))
    """The person's stamp then; a changed one ends it."""
    remote_addr: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_used_at: Mapped[datetime] = mapped_column(default=clock.now)
