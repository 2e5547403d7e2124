"""SDK packages of an API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id, Name, reference


class SdkPackage(Base):
    """A package that people may install; it is in a registry, or among our files."""

    __tablename__ = "sdk_package"
    __table_args__ = (UniqueConstraint("api_resource_id", "name"),)

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    name: Mapped[Name]
    version: Mapped[str | None] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(String(2000))
    publisher: Mapped[Name]
    link: Mapped[str] = mapped_column(String(2000))
    icon: Mapped[str] = mapped_column(String(2000))
    platform: Mapped[str] = mapped_column(String(100))
    """Registry or package manager: npm, pypi, nuget …"""
    language: Mapped[str] = mapped_column(String(100))
    show_index: Mapped[int] = mapped_column(Integer, default=0)
    """Order in the market, the smallest first."""
    tags: Mapped[str | None] = mapped_column(String(1000))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
