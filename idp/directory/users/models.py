"""People: one row whether they are called user or account."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, Float, Index, Integer, String, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp.directory.users import names
from idp.platform import clock
from idp.platform.db import Base, Id, reference
from idp.platform.secrets import random_token
from idp.platform.stamps import Stamp


class User(Base):
    """A person. `*_key` columns hold the NFKC-casefolded form that names are compared by."""

    __tablename__ = "user"
    __table_args__ = (
        CheckConstraint("trim(username_key, '0123456789') <> ''", name="username_not_numeric"),
    )

    id: Mapped[Id]
    username: Mapped[str] = mapped_column(String(256))
    username_key: Mapped[str] = mapped_column(String(256), unique=True)
    email: Mapped[str | None] = mapped_column(String(256))
    email_key: Mapped[str | None] = mapped_column(String(256), unique=True)
    email_verified: Mapped[bool] = mapped_column(default=False)
    email_changed_at: Mapped[datetime | None]
    """Empty: not since the account was created."""
    mobile: Mapped[str | None] = mapped_column(String(20), unique=True)
    """E.164"""
    mobile_verified: Mapped[bool] = mapped_column(default=False)
    mobile_changed_at: Mapped[datetime | None]
    """Empty: not since the account was created."""
    password_hash: Mapped[str | None] = mapped_column(String(255))
    """argon2id, or an imported hash (see `foreign`); empty: no sign-in by password."""
    password_changed_at: Mapped[datetime | None]
    """Empty: not since the account was created."""
    password_reset_at: Mapped[datetime | None]
    """When the present password was set by a link that was mailed; empty: it was set otherwise."""
    must_change_password: Mapped[bool] = mapped_column(default=False)
    """Somebody else set the password where a policy wants people to change such ones."""
    second_factor_asked_at: Mapped[datetime | None]
    """When the person was first asked to set up a second factor that they may put off."""
    security_stamp: Mapped[str] = mapped_column(String(64), default=lambda: random_token(16))
    """Changed whenever earlier sign-ins must end; grants and sessions keep the one they saw."""
    concurrency_stamp: Mapped[Stamp]
    is_disabled: Mapped[bool] = mapped_column(default=False)
    lockout_end: Mapped[datetime | None]
    lockout_enabled: Mapped[bool] = mapped_column(default=False)
    access_failed_count: Mapped[int] = mapped_column(Integer, default=0)
    user_key: Mapped[str] = mapped_column(
        String(36), unique=True, default=lambda: str(uuid.uuid4())
    )
    parent_user_id: Mapped[int | None] = reference("user.id", ondelete="SET NULL")
    lineage: Mapped[str | None] = mapped_column(String(2000))
    """Ids of the chain of referrers, the first one first: `/1/5/`; empty: none."""
    display_name: Mapped[str | None] = mapped_column(String(200))
    given_name: Mapped[str | None] = mapped_column(String(100))
    middle_name: Mapped[str | None] = mapped_column(String(100))
    family_name: Mapped[str | None] = mapped_column(String(100))
    nick_name: Mapped[str | None] = mapped_column(String(200))
    profile: Mapped[str | None] = mapped_column(String(2000))
    website: Mapped[str | None] = mapped_column(String(2000))
    avatar: Mapped[str | None] = mapped_column(String(2000))
    gender: Mapped[str | None] = mapped_column(String(20))
    birthday: Mapped[date | None] = mapped_column(Date)
    address: Mapped[str | None] = mapped_column(String(1000))
    stature: Mapped[float] = mapped_column(Float, default=0.0)
    weight: Mapped[float] = mapped_column(Float, default=0.0)
    description: Mapped[str | None] = mapped_column(String(2000))
    remark: Mapped[str | None] = mapped_column(String(2000))
    type_ids: Mapped[str | None] = mapped_column(String(1000))
    zoneinfo: Mapped[str | None] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(20))
    factor_declined_at: Mapped[datetime | None]
    """When the person last put off adding a second factor."""
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    claims: Mapped[list[UserClaim]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="UserClaim.id"
    )

    @property
    def full_name(self) -> str:
        """The name shown to others."""
        return names.displayed(self)

    @property
    def is_locked(self) -> bool:
        """Whether an administrator has temporarily locked the account."""
        return self.lockout_end is not None and self.lockout_end > clock.now()

    @property
    def locked_until(self) -> datetime | None:
        """When the present lock ends."""
        return self.lockout_end if self.is_locked else None

    @property
    def may_sign_in(self) -> bool:
        """Whether the account is neither deleted, disabled nor locked."""
        return self.deleted_at is None and not self.is_disabled and not self.is_locked


SORT_NAME = func.lower(
    func.coalesce(User.display_name, User.nick_name, User.username), type_=String
)
"""What lists of people are sorted by; the index below has it."""
_BEGIN = dict.fromkeys(("username_key", "email_key", "mobile", "sort_name"), "text_pattern_ops")
Index("ix_user_sort_name", SORT_NAME, User.id)
# What a text begins with is found by these in any collation.
Index("ix_user_username_key_begin", User.username_key, postgresql_ops=_BEGIN)
Index("ix_user_email_key_begin", User.email_key, postgresql_ops=_BEGIN)
Index("ix_user_mobile_begin", User.mobile, postgresql_ops=_BEGIN)
Index("ix_user_sort_name_begin", SORT_NAME.label("sort_name"), postgresql_ops=_BEGIN)
Index("ix_user_created_at_id", User.created_at, User.id)
Index(
    "ix_user_is_disabled",
    User.id,
    sqlite_where=text("is_disabled IS 1"),
    postgresql_where=text("is_disabled IS true"),
)
Index(
    "ix_user_lockout_end",
    User.lockout_end,
    sqlite_where=text("lockout_end IS NOT NULL"),
    postgresql_where=text("lockout_end IS NOT NULL"),
)


class UserClaim(Base):
    """A claim of a person, in one tenant or (no tenant) everywhere.

    Type `permission` is a direct grant of the privilege with that code.
    """

    __tablename__ = "user_claim"
    __table_args__ = (Index("ix_user_claim_user_id_type", "user_id", "type"),)

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    tenant_id: Mapped[int | None] = reference("tenant.id")
    type: Mapped[str] = mapped_column(String(200))
    value: Mapped[str]


class UserFile(Base):
    """Pictures, a video or a document in a person's profile."""

    __tablename__ = "user_file"

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    file_type: Mapped[int] = mapped_column(Integer)
    """0 pictures, 1 video, 2 document."""
    files: Mapped[str]
    """One address; of pictures also a JSON array of them."""


class UserProperty(Base):
    """A note of a tenant, or (no tenant) the platform, about a person; in no token."""

    __tablename__ = "user_property"
    __table_args__ = (Index("ix_user_property_user_id_key", "user_id", "key"),)

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    tenant_id: Mapped[int | None] = reference("tenant.id")
    key: Mapped[str] = mapped_column(String(200))
    value: Mapped[str]


class PasswordHistory(Base):
    """An earlier password of a person to whom a policy with a history applies."""

    __tablename__ = "password_history"
    concerns_tokens = False

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class PasswordCost(Base):
    """How long an imported scheme takes: wrong passwords of all accounts take as long."""

    __tablename__ = "password_cost"
    configuration = True
    concerns_tokens = False

    id: Mapped[Id]
    scheme: Mapped[str] = mapped_column(String(100), unique=True)
    seconds: Mapped[float] = mapped_column(Float)
