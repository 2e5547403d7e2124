"""The record of what was seeded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base


class SeedMark(Base):
    """A seed that was added once; its row may have been deleted since, and is not added again."""

    __tablename__ = "seed_mark"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    row_id: Mapped[int | None]
    """Id of the row that was created."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
