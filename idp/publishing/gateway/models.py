"""Publications with their children, and what the operator of the gateway manages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id, Name, reference
from idp.platform.stamps import Stamp


class Publication(Base):
    """A microservice at the gateway: one path there, in several versions."""

    __tablename__ = "publication"
    configuration = True

    id: Mapped[Id]
    api_resource_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("api_resource.id", ondelete="CASCADE"), unique=True
    )
    suffix: Mapped[str] = mapped_column(String(32))
    suffix_key: Mapped[str] = mapped_column(String(32), unique=True)
    """The suffix in lower case: gateways ignore case."""
    name: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None]
    authorization_server: Mapped[str | None] = mapped_column(String(80))
    scope: Mapped[str | None] = mapped_column(String(200))
    openid: Mapped[str | None] = mapped_column(String(80))
    configuration_encrypted: Mapped[str]
    """The last publish request (purpose `publish request`): its policy may hold secrets."""
    number: Mapped[int] = mapped_column(Integer, default=1)
    """How often it was published."""
    stamp: Mapped[Stamp]
    """Changes with the row and its children."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    published_at: Mapped[datetime] = mapped_column(default=clock.now)

    versions: Mapped[list[PublicationVersion]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="PublicationVersion.id"
    )


class PublicationVersion(Base):
    """A version of a publication, selected by the query parameter `api-version`."""

    __tablename__ = "publication_version"
    __table_args__ = (UniqueConstraint("publication_id", "name"),)
    configuration = True

    id: Mapped[Id]
    publication_id: Mapped[int] = reference("publication.id")
    aid: Mapped[str] = mapped_column(String(80), unique=True)
    """Id of the gateway's API."""
    name: Mapped[str] = mapped_column(String(100))
    """Value of `api-version`; empty: the original, which is called without it."""
    product_ids: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    revisions: Mapped[list[PublicationRevision]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="PublicationRevision.number"
    )
    releases: Mapped[list[PublicationRelease]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="PublicationRelease.id"
    )


class PublicationRevision(Base):
    """A description that was imported into a version, and the upstream of its calls."""

    __tablename__ = "publication_revision"
    __table_args__ = (
        UniqueConstraint("version_id", "number"),
        Index(
            "uq_publication_revision_current",
            "version_id",
            unique=True,
            sqlite_where=text("is_current"),
            postgresql_where=text("is_current"),
        ),
    )
    configuration = True

    id: Mapped[Id]
    version_id: Mapped[int] = reference("publication_version.id")
    number: Mapped[int] = mapped_column(Integer)
    note: Mapped[str]
    upstream: Mapped[str] = mapped_column(String(2000))
    """Upstream of calls; on the operator's list of the tenant."""
    source_url: Mapped[str] = mapped_column(String(2000))
    kind: Mapped[str] = mapped_column(String(10))
    """2.0, 3.0 or 3.1."""
    document: Mapped[bytes] = mapped_column(deferred=True)
    """The description as JSON, compressed."""
    breaking: Mapped[list[str]]
    """Changes that break clients of the previous revision; see `breaking`."""
    is_current: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)


class PublicationRelease(Base):
    """A note about a revision that went online."""

    __tablename__ = "publication_release"
    __table_args__ = (UniqueConstraint("version_id", "name"),)

    id: Mapped[Id]
    version_id: Mapped[int] = reference("publication_version.id")
    name: Mapped[str] = mapped_column(String(80))
    revision: Mapped[int] = mapped_column(Integer)
    notes: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)


class PublicationDraft(Base):
    """A request that was checked and waits for the person who sent it to carry it out."""

    __tablename__ = "publication_draft"
    __table_args__ = (UniqueConstraint("api_resource_id", "user_id"),)
    concerns_tokens = False

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    user_id: Mapped[int] = reference("user.id")
    action: Mapped[str] = mapped_column(String(20))
    """`publish` or `revise`."""
    request_encrypted: Mapped[str]
    """The request as JSON (purpose `publish request`): its policy may hold secrets."""
    source_url: Mapped[str] = mapped_column(String(2000))
    document: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    """The description as JSON, compressed."""
    stamp: Mapped[str] = mapped_column(String(64))
    """State of the publication that it was checked against; empty: not published yet."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Product(Base):
    """A product that clients subscribe to for the versions that list it."""

    __tablename__ = "gateway_product"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = reference("tenant.id")
    pid: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[Name]
    description: Mapped[str | None]
    terms: Mapped[str | None]
    scope: Mapped[str | None] = mapped_column(String(200))
    """Scope that tokens need for access by this product."""
    subscription_required: Mapped[bool] = mapped_column(default=True)
    subscriptions_limit: Mapped[int | None] = mapped_column(Integer)
    is_published: Mapped[bool] = mapped_column(default=True)

    subscriptions: Mapped[list[ProductSubscription]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ProductSubscription.id"
    )


class ProductSubscription(Base):
    """A client may use a product."""

    __tablename__ = "gateway_product_subscription"
    __table_args__ = (UniqueConstraint("product_id", "client_id"),)
    configuration = True

    id: Mapped[Id]
    product_id: Mapped[int] = reference("gateway_product.id")
    client_id: Mapped[int] = reference("client.id")
    is_suspended: Mapped[bool] = mapped_column(default=False)
    """Whether it gives no access for now."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class AuthorizationServer(Base):
    """An authorization server that publications name; no secret of it is stored."""

    __tablename__ = "gateway_authorization_server"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = reference("tenant.id")
    sid: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[Name]
    description: Mapped[str | None]
    authorization_endpoint: Mapped[str] = mapped_column(String(2000))
    token_endpoint: Mapped[str] = mapped_column(String(2000))
    client_registration_endpoint: Mapped[str | None] = mapped_column(String(2000))
    default_scope: Mapped[str | None] = mapped_column(String(200))
    client_id: Mapped[str | None] = mapped_column(String(200))
    grant_types: Mapped[list[str]]


class Upstream(Base):
    """An address that calls to a tenant's APIs may go to; without one nothing can be published."""

    __tablename__ = "gateway_upstream"
    __table_args__ = (UniqueConstraint("tenant_id", "url"),)
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int] = reference("tenant.id")
    url: Mapped[str] = mapped_column(String(500))
