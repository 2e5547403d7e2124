"""Policies of tenants, of the platform, and of roles: one row each, or none."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id, Json
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
    breached_at_sign_in: Mapped[str | None] = mapped_column(String(20))
    """What follows a sign-in with a stolen password: see `rules.Breached`."""
    identifier_first: Mapped[bool | None]
    """Whether the name is asked for on a page of its own, before the password."""
    second_factor: Mapped[str | None] = mapped_column(String(20))
    """Whether people have a second factor: see `rules.SecondFactor`."""
    level: Mapped[str | None] = mapped_column(String(20))
    """Level of a sign-in where a second factor is required: mfa or phr."""
    factors: Mapped[list[str] | None]
    """Kinds of second factors that people may use: see `rules.FACTORS`."""
    grace_days: Mapped[int | None] = mapped_column(Integer)
    """Days for which people may put off setting up a second factor that is required."""
    level_minutes: Mapped[int | None] = mapped_column(Integer)
    """Minutes after which the level of a session ends."""
    device_days: Mapped[int | None] = mapped_column(Integer)
    """Days for which a device may be remembered."""
    session_hours: Mapped[int | None] = mapped_column(Integer)
    """Hours that a session lasts at most, without "Keep me signed in"."""
    remember_days: Mapped[int | None] = mapped_column(Integer)
    """Days that a session lasts at most, with "Keep me signed in"."""
    idle_minutes: Mapped[int | None] = mapped_column(Integer)
    """Minutes without use after which a session ends."""
    max_sessions: Mapped[int | None] = mapped_column(Integer)
    """Sessions of a person at a time."""
    verify: Mapped[list[str] | None] = mapped_column(Json)
    """Addresses that people confirm before they go on: see `rules.ADDRESSES`."""
    exempt_user_ids: Mapped[list[int] | None] = mapped_column(Json)
    """Administrators of whom this policy requires no second factor, for emergencies."""
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)


class RolePolicy(Base):
    """What is required of those who have a role, beside the policy of their tenant."""

    __tablename__ = "role_policy"
    configuration = True

    id: Mapped[Id]
    role_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("role.id", ondelete="CASCADE"), unique=True
    )
    second_factor: Mapped[str | None] = mapped_column(String(20))
    level: Mapped[str | None] = mapped_column(String(20))
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
