"""Uploaded files, by the random name under which they are served."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Digest, Id, reference


class StoredFile(Base):
    """A file that a person uploaded; its content is in the store under `name`."""

    __tablename__ = "stored_file"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(40), unique=True)
    original_name: Mapped[str] = mapped_column(String(255))
    """File name of the upload, cleaned; never part of a path."""
    media_type: Mapped[str] = mapped_column(String(100))
    """Media type, detected from the content."""
    size: Mapped[int]
    content_hash: Mapped[Digest]
    user_id: Mapped[int | None] = reference("user.id", ondelete="SET NULL")
    client_id: Mapped[str] = mapped_column(String(200))
    tenant_id: Mapped[int | None] = reference("tenant.id")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
