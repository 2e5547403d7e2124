"""Applications, the OAuth clients they sign people in with, and their menus."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp.directory.roles.models import Privilege
from idp.platform import clock
from idp.platform.db import Base, BigInt, Id, Name, reference


class Application(Base):
    """A program of a tenant; its code is unique over all tenants."""

    __tablename__ = "application"

    id: Mapped[Id]
    tenant_id: Mapped[int] = reference("tenant.id")
    code: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[Name]
    api_resource_id: Mapped[int | None] = reference("api_resource.id", ondelete="SET NULL")
    """API whose tokens carry the application's privileges."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class ApplicationClient(Base):
    """An OAuth client that signs people in for an application."""

    __tablename__ = "application_client"

    client_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("client.id", ondelete="CASCADE"), primary_key=True
    )
    application_id: Mapped[int] = reference("application.id", ondelete="RESTRICT")


class Menu(Base):
    """An entry of an application's menu, shown to holders of its privilege."""

    __tablename__ = "menu"
    __table_args__ = (UniqueConstraint("application_id", "code"),)

    id: Mapped[Id]
    application_id: Mapped[int] = reference("application.id", ondelete="RESTRICT")
    parent_id: Mapped[int | None] = reference("menu.id", ondelete="RESTRICT")
    code: Mapped[str] = mapped_column(String(100))
    """Identifies the page."""
    title: Mapped[Name]
    icon: Mapped[str | None] = mapped_column(String(200))
    url: Mapped[str | None] = mapped_column(String(2000))
    comment: Mapped[str | None] = mapped_column(String(2000))
    sort: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[int] = mapped_column(Integer, default=1)
    """1: enabled, 0: disabled."""
    privilege_id: Mapped[int | None] = reference("privilege.id", ondelete="RESTRICT")
    """Empty: shown to everyone who sees an entry below it."""

    application: Mapped[Application] = relationship()
    privilege: Mapped[Privilege | None] = relationship()
