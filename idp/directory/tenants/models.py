"""Tenants: organisations, the hosts that make some of them issuers, and their members."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id, Name, reference
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.stamps import Stamp


class TenantStatus(IntEnum):
    """Only enabled tenants resolve."""

    CREATED = 0
    ENABLED = 1
    DISABLED = 2


class Tenant(Base):
    """An organisation; with hosts of its own also an issuer."""

    __tablename__ = "tenant"
    configuration = True

    id: Mapped[Id]
    name: Mapped[Name]
    status: Mapped[int] = mapped_column(Integer, default=TenantStatus.ENABLED)
    theme: Mapped[str | None] = mapped_column(String(100))
    logo_uri: Mapped[str | None] = mapped_column(String(2000))
    issuer_tenant_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("tenant.id", ondelete="RESTRICT"), index=True, default=PLATFORM_TENANT_ID
    )
    """Tenant at whose host the members sign in: itself when it has hosts, else 1."""
    issuer_host: Mapped[str | None] = mapped_column(String(255))
    """`identityServerIssuerUri`: one of the hosts; empty: the first."""
    type_code: Mapped[str | None] = mapped_column(String(100), index=True)
    bundle_code: Mapped[str | None] = mapped_column(String(100), index=True)
    cache_seconds: Mapped[int] = mapped_column(Integer, default=60)
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change, of hosts, claims and properties too."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    hosts: Mapped[list[TenantHost]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="TenantHost.id"
    )
    claims: Mapped[list[TenantClaim]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="TenantClaim.id"
    )
    properties: Mapped[list[TenantProperty]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="TenantProperty.id"
    )
    administrators: Mapped[list[Membership]] = relationship(
        primaryjoin="and_(Membership.tenant_id == Tenant.id, Membership.is_admin)",
        viewonly=True,
        order_by="Membership.id",
    )

    @property
    def owner_user_id(self) -> int | None:
        """The person who has been administrator for longest."""
        return next((member.user_id for member in self.administrators), None)

    @property
    def is_enabled(self) -> bool:
        """Whether people may sign in for this tenant."""
        return self.status == TenantStatus.ENABLED


class TenantHost(Base):
    """A Host header value (host and port) that this tenant serves."""

    __tablename__ = "tenant_host"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int] = reference("tenant.id")
    host: Mapped[str] = mapped_column(String(255), unique=True)


class TenantClaim(Base):
    """A public fact about a tenant."""

    __tablename__ = "tenant_claim"
    __table_args__ = (UniqueConstraint("tenant_id", "type"),)
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int] = reference("tenant.id")
    type: Mapped[Name]
    value: Mapped[str]


class TenantProperty(Base):
    """A private setting of a tenant, encrypted (purpose `tenant property`)."""

    __tablename__ = "tenant_property"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int] = reference("tenant.id")
    key: Mapped[Name]
    value_encrypted: Mapped[str]


class TenantClearance(Base):
    """A disabled tenant whose members the worker removes, and how far it is."""

    __tablename__ = "tenant_clearance"
    concerns_tokens = False

    tenant_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    requested_by: Mapped[int] = mapped_column(BigInt)
    """Who requested it; no foreign key, the work goes on when they leave."""
    members: Mapped[int]
    """How many there were at the beginning."""
    removed: Mapped[int] = mapped_column(default=0)
    """Rows of all tables so far."""
    requested_at: Mapped[datetime] = mapped_column(default=clock.now)


class Membership(Base):
    """The membership of a person in a tenant; the administrator flag also marks its owner."""

    __tablename__ = "membership"
    __table_args__ = (
        UniqueConstraint("user_id", "tenant_id"),
        # Lists of members are in the order of people's ids.
        Index("ix_membership_tenant_id_user_id", "tenant_id", "user_id"),
        Index(
            "ix_membership_is_admin",
            "tenant_id",
            sqlite_where=text("is_admin"),
            postgresql_where=text("is_admin"),
        ),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    tenant_id: Mapped[int] = reference("tenant.id")
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_bound: Mapped[bool] = mapped_column(default=False)
    """The account was not created here and has not signed in for this tenant yet."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
