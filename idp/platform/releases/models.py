"""The schema that the database has, and the nodes that use it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform.db import Base, Id


class Installation(Base):
    """One row: what the last migration left, and which code fits it."""

    __tablename__ = "installation"
    concerns_tokens = False

    id: Mapped[Id]
    schema_number: Mapped[int] = mapped_column(Integer)
    """Place of the last migration in the chain."""
    oldest_code: Mapped[int] = mapped_column(Integer)
    """Lowest number of code that fits the schema; only contract steps raise it."""
    release: Mapped[str] = mapped_column(String(50))
    """Release that ran the last migration."""
    at: Mapped[datetime]


class Node(Base):
    """A server or a worker, with the code that it runs."""

    __tablename__ = "node"
    concerns_tokens = False

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Host, process id, and something that distinguishes it from all others."""
    release: Mapped[str] = mapped_column(String(50))
    schema_number: Mapped[int] = mapped_column(Integer)
    """Number of its code."""
    seen_at: Mapped[datetime] = mapped_column(index=True)
