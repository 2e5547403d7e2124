"""Roles, and the privileges (permissions) that they carry."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp.platform.db import Base, BigInt, Id, Name, reference
from idp.platform.stamps import Stamp

NOT_NUMERIC = "trim(code, '0123456789') <> ''"
LONGEST_ROLE_NAME = 256


class PrivilegeGroup(Base):
    """A named node of the privilege tree."""

    __tablename__ = "privilege_group"

    id: Mapped[Id]
    parent_id: Mapped[int | None] = reference("privilege_group.id", ondelete="RESTRICT")
    code: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[Name]
    sort: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[int] = mapped_column(Integer, default=1)


class Privilege(Base):
    """One right. Owned by an API resource, or by nobody (then it counts everywhere)."""

    __tablename__ = "privilege"
    __table_args__ = (CheckConstraint(NOT_NUMERIC, name="code_not_numeric"),)

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[Name]
    description: Mapped[str | None] = mapped_column(String(1000))
    group_id: Mapped[int | None] = reference("privilege_group.id", ondelete="RESTRICT")
    api_resource_id: Mapped[int | None] = reference("api_resource.id", ondelete="CASCADE")
    sort: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[int] = mapped_column(Integer, default=1)


class Role(Base):
    """A set of privileges, in one tenant or (no tenant) on the platform."""

    __tablename__ = "role"
    __table_args__ = (
        UniqueConstraint("tenant_id", "code"),
        # NULL counts here: one platform role per code.
        Index(
            "uq_role_platform_code",
            "code",
            unique=True,
            sqlite_where=text("tenant_id IS NULL"),
            postgresql_where=text("tenant_id IS NULL"),
        ),
        CheckConstraint(NOT_NUMERIC, name="code_not_numeric"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = reference("tenant.id")
    code: Mapped[str] = mapped_column(String(LONGEST_ROLE_NAME))
    name: Mapped[str] = mapped_column(String(LONGEST_ROLE_NAME))
    """Name shown to people; programs compare the code."""
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change, of claims and privileges too."""
    bundle_code: Mapped[str | None] = mapped_column(String(100))
    """Bundle that created this role; empty: created manually."""

    claims: Mapped[list[RoleClaim]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="RoleClaim.id"
    )
    privileges: Mapped[list[Privilege]] = relationship(
        secondary="role_privilege", viewonly=True, order_by="Privilege.code"
    )


class RoleClaim(Base):
    """A claim that everybody in the role has."""

    __tablename__ = "role_claim"

    id: Mapped[Id]
    role_id: Mapped[int] = reference("role.id")
    type: Mapped[Name]
    value: Mapped[str]


class RolePrivilege(Base):
    """A privilege that a role carries."""

    __tablename__ = "role_privilege"

    role_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True
    )
    privilege_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("privilege.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class UserRole(Base):
    """A role that a person has; it cannot be deleted meanwhile."""

    __tablename__ = "user_role"

    user_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("user.id", ondelete="CASCADE"), primary_key=True
    )
    role_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("role.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
