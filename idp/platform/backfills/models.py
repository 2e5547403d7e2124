"""How far each backfill has come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform.db import Base


class BackfillProgress(Base):
    """One backfill that has begun."""

    __tablename__ = "backfill"
    concerns_tokens = False

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    """Key of the last row that was looked at."""
    done_at: Mapped[datetime | None]
