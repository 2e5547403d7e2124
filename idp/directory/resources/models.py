"""What a client requests: scopes of APIs, and identity resources."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id, Name, reference
from idp.platform.stamps import Stamp


class ApiResource(Base):
    """A protected API: the audience of access tokens, with its scopes."""

    __tablename__ = "api_resource"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = reference("tenant.id")
    name: Mapped[str] = mapped_column(String(200), unique=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    display_name: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(1000))
    default_scopes: Mapped[list[str] | None]
    """Its scopes that a request gets which names the API and no scope."""
    open_to_strangers: Mapped[bool] = mapped_column(default=False)
    """Whether applications that nobody registered may ask for its scopes."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change, of the children too."""

    scopes: Mapped[list[ApiScope]] = relationship(
        back_populates="api_resource",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="ApiScope.id",
    )
    secrets: Mapped[list[ApiSecret]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ApiSecret.id"
    )
    user_claims: Mapped[list[ApiResourceClaim]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ApiResourceClaim.id"
    )
    properties: Mapped[list[ApiResourceProperty]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ApiResourceProperty.id"
    )


class ApiResourceClaim(Base):
    """A user claim that access tokens for this API carry."""

    __tablename__ = "api_resource_claim"
    __table_args__ = (UniqueConstraint("api_resource_id", "type"),)
    configuration = True

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    type: Mapped[Name]


class ApiResourceProperty(Base):
    """A setting of an API, for example `permission_format` or `signing_alg`."""

    __tablename__ = "api_resource_property"
    __table_args__ = (UniqueConstraint("api_resource_id", "key"),)
    configuration = True

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    key: Mapped[str] = mapped_column(String(250))
    value: Mapped[str] = mapped_column(String(2000))


class ApiSecretUse(Base):
    """When a secret was last used, by the minute; no configuration, so that no cache is emptied."""

    __tablename__ = "api_secret_use"
    concerns_tokens = False

    secret_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("api_secret.id", ondelete="CASCADE"), primary_key=True
    )
    used_at: Mapped[datetime]


class ApiSecret(Base):
    """A secret by which an API calls the introspection endpoint (purpose `client secret`)."""

    __tablename__ = "api_secret"
    configuration = True

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    description: Mapped[str | None] = mapped_column(String(1000))
    value_hash: Mapped[str] = mapped_column(String(100))
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    if TYPE_CHECKING:
        last_used_at: Mapped[datetime | None]
        """When it was last used, by the minute; read with the row."""


# Needs the columns of both tables, so it follows the class.
ApiSecret.last_used_at = column_property(
    select(ApiSecretUse.used_at).where(ApiSecretUse.secret_id == ApiSecret.id).scalar_subquery()
)


class ApiScope(Base):
    """A scope of an API; its name is unique over all APIs and identity resources."""

    __tablename__ = "api_scope"
    configuration = True

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    name: Mapped[str] = mapped_column(String(200), unique=True)
    display_name: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(1000))
    required: Mapped[bool] = mapped_column(default=False)
    emphasize: Mapped[bool] = mapped_column(default=False)
    show_in_discovery_document: Mapped[bool] = mapped_column(default=True)

    api_resource: Mapped[ApiResource] = relationship(back_populates="scopes")
    user_claims: Mapped[list[ApiScopeClaim]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ApiScopeClaim.id"
    )


class ApiScopeClaim(Base):
    """A user claim that access tokens with this scope carry."""

    __tablename__ = "api_scope_claim"
    __table_args__ = (UniqueConstraint("api_scope_id", "type"),)
    configuration = True

    id: Mapped[Id]
    api_scope_id: Mapped[int] = reference("api_scope.id")
    type: Mapped[Name]


class IdentityResource(Base):
    """A scope that stands for claims about the person (OpenID Connect Core 5.4)."""

    __tablename__ = "identity_resource"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = reference("tenant.id")
    name: Mapped[str] = mapped_column(String(200), unique=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    display_name: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(1000))
    required: Mapped[bool] = mapped_column(default=False)
    emphasize: Mapped[bool] = mapped_column(default=False)
    show_in_discovery_document: Mapped[bool] = mapped_column(default=True)
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change, of the children too."""

    user_claims: Mapped[list[IdentityResourceClaim]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="IdentityResourceClaim.id"
    )


class IdentityResourceClaim(Base):
    """A claim that an identity resource releases."""

    __tablename__ = "identity_resource_claim"
    __table_args__ = (UniqueConstraint("identity_resource_id", "type"),)
    configuration = True

    id: Mapped[Id]
    identity_resource_id: Mapped[int] = reference("identity_resource.id")
    type: Mapped[Name]


class ApiResourceOwner(Base):
    """A person who manages an API resource."""

    __tablename__ = "api_resource_owner"

    user_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("user.id", ondelete="CASCADE"), primary_key=True
    )
    api_resource_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("api_resource.id", ondelete="CASCADE"), primary_key=True, index=True
    )
