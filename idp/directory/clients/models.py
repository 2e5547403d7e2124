"""Clients: applications that ask for tokens. Columns have RFC 7591 names where it has one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from idp.platform import clock
from idp.platform.db import Base, BigInt, Digest, Id, Name, reference
from idp.platform.stamps import Stamp

USUAL_CODE_SECONDS = 300

OPERATOR, REGISTERED, DOCUMENT = "operator", "registered", "document"
"""How a client came: registered by an operator, or by itself, or described by its document."""
OFF = "off"
BY_DOCUMENT = (OFF, "listed", "any")
BY_REGISTRATION = (OFF, "token", "any")
"""`token`: with an initial access token (RFC 7591 3)."""


class Client(Base):
    """An OAuth 2.0 client; without a tenant it serves every tenant."""

    __tablename__ = "client"
    __table_args__ = (
        CheckConstraint("trim(client_id, '0123456789') <> ''", name="client_id_not_numeric"),
    )
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = reference("tenant.id")
    client_id: Mapped[str] = mapped_column(String(200), unique=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    client_name: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(1000))
    client_uri: Mapped[str | None] = mapped_column(String(2000))
    logo_uri: Mapped[str | None] = mapped_column(String(2000))
    policy_uri: Mapped[str | None] = mapped_column(String(2000))
    tos_uri: Mapped[str | None] = mapped_column(String(2000))
    initiate_login_uri: Mapped[str | None] = mapped_column(String(2000))
    """Where a sign-in that somebody else initiates begins (OpenID Connect Core 4)."""
    application_type: Mapped[str] = mapped_column(String(20), default="web")

    require_client_secret: Mapped[bool] = mapped_column(default=True)
    """False: a public client."""
    token_endpoint_auth_method: Mapped[str | None] = mapped_column(String(50))
    """Unset: client_secret_basic or client_secret_post; set: exactly that."""
    token_endpoint_auth_signing_alg: Mapped[str | None] = mapped_column(String(20))
    """Of client assertions; unset: any that is offered."""
    jwks: Mapped[dict[str, Any] | None]
    jwks_uri: Mapped[str | None] = mapped_column(String(2000))
    strict_assertion_audience: Mapped[bool] = mapped_column(default=False)
    security_profile: Mapped[str | None] = mapped_column(String(30))
    """Rules that the client keeps to in all respects: see `profiles`; empty: none."""

    dpop_bound_access_tokens: Mapped[bool] = mapped_column(default=False)
    """Whether every token request needs a DPoP proof."""
    tls_client_certificate_bound_access_tokens: Mapped[bool] = mapped_column(default=False)
    tls_client_auth_subject_dn: Mapped[str | None] = mapped_column(String(1000))
    """Of the certificate by which the client authenticates, as RFC 4514 writes it."""
    tls_client_auth_san_dns: Mapped[str | None] = mapped_column(String(253))
    tls_client_auth_san_uri: Mapped[str | None] = mapped_column(String(1000))
    tls_client_auth_san_ip: Mapped[str | None] = mapped_column(String(45))
    tls_client_auth_san_email: Mapped[str | None] = mapped_column(String(320))
    require_pushed_authorization_requests: Mapped[bool] = mapped_column(default=False)
    require_signed_request_object: Mapped[bool] = mapped_column(default=False)
    request_object_signing_alg: Mapped[str | None] = mapped_column(String(20))
    """Of signed requests; unset: any that is offered."""
    response_modes: Mapped[list[str] | None]
    """Those that it may ask for; unset: the plain ones."""

    require_pkce: Mapped[bool] = mapped_column(default=True)
    require_consent: Mapped[bool] = mapped_column(default=True)
    allow_remember_consent: Mapped[bool] = mapped_column(default=True)
    consent_lifetime: Mapped[int | None] = mapped_column(Integer)
    """Seconds; empty: for ever."""
    allow_offline_access: Mapped[bool] = mapped_column(default=False)
    default_max_age: Mapped[int | None] = mapped_column(Integer)
    require_acr: Mapped[str | None] = mapped_column(String(20))
    """Level that every sign-in at the client reaches; empty: any."""
    default_acr_values: Mapped[list[str] | None]
    """Levels that are wished for where a request names none."""
    device_requires_login: Mapped[bool] = mapped_column(default=False)
    """Whether people sign in anew for a device that asked."""
    second_factor_exempt: Mapped[bool] = mapped_column(default=False)
    """Whether it logs people in by itself though they have a second factor."""

    authorization_code_lifetime: Mapped[int] = mapped_column(Integer, default=USUAL_CODE_SECONDS)
    identity_token_lifetime: Mapped[int] = mapped_column(Integer, default=300)
    access_token_lifetime: Mapped[int] = mapped_column(Integer, default=3600)
    absolute_refresh_token_lifetime: Mapped[int] = mapped_column(Integer, default=2_592_000)
    sliding_refresh_token_lifetime: Mapped[int] = mapped_column(Integer, default=1_296_000)
    refresh_token_usage: Mapped[int] = mapped_column(Integer, default=1)
    """0: reusable, 1: one-time."""
    refresh_token_expiration: Mapped[int] = mapped_column(Integer, default=1)
    """0: sliding, 1: absolute."""
    refresh_token_reuse_seconds: Mapped[int] = mapped_column(Integer, default=60)
    """How long after its use a one-time refresh token may come again: its answer was lost."""
    access_token_type: Mapped[int] = mapped_column(Integer, default=0)
    """0: JWT, 1: reference token."""

    id_token_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    userinfo_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    introspection_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    authorization_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    """Of signed answers of the authorization endpoint."""
    always_include_user_claims_in_id_token: Mapped[bool] = mapped_column(default=False)
    always_send_client_claims: Mapped[bool] = mapped_column(default=False)
    client_claims_prefix: Mapped[str] = mapped_column(String(200), default="client_")
    grantable_privileges: Mapped[list[str] | None]
    """Codes that the client itself may grant to people; empty: none."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change, of the lists too."""
    origin: Mapped[str] = mapped_column(String(20), default=OPERATOR)
    """`operator`, `registered` or `document`."""
    document_hash: Mapped[str | None] = mapped_column(String(43))
    """Of the document that the row was last written from, see `documents.Document.hash`."""

    secrets: Mapped[list[ClientSecret]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ClientSecret.id"
    )
    grant_types: Mapped[list[ClientGrantType]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ClientGrantType.id"
    )
    scopes: Mapped[list[ClientScope]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ClientScope.id"
    )
    redirect_uris: Mapped[list[ClientRedirectUri]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ClientRedirectUri.id"
    )
    post_logout_redirect_uris: Mapped[list[ClientPostLogoutRedirectUri]] = relationship(
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="ClientPostLogoutRedirectUri.id",
    )
    cors_origins: Mapped[list[ClientCorsOrigin]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ClientCorsOrigin.id"
    )
    claims: Mapped[list[ClientClaim]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ClientClaim.id"
    )
    properties: Mapped[list[ClientProperty]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ClientProperty.id"
    )


SORT_NAME = func.lower(func.coalesce(Client.client_name, Client.client_id), type_=String)
"""What lists of clients are sorted by; the index below has it."""
Index("ix_client_sort_name", SORT_NAME, Client.id)
Index("ix_client_created_at_id", Client.created_at, Client.id)


class ClientSecretUse(Base):
    """When a secret was last used, by the minute; no configuration, so that no cache is emptied."""

    __tablename__ = "client_secret_use"
    concerns_tokens = False

    secret_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("client_secret.id", ondelete="CASCADE"), primary_key=True
    )
    used_at: Mapped[datetime]


class ClientSecret(Base):
    """A shared secret (purpose `client secret`); a client may have several at a time."""

    __tablename__ = "client_secret"
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    description: Mapped[str | None] = mapped_column(String(2000))
    value_hash: Mapped[str] = mapped_column(String(100))
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    if TYPE_CHECKING:
        last_used_at: Mapped[datetime | None]
        """When it was last used, by the minute; read with the row."""


# Needs the columns of both tables, so it follows the class.
ClientSecret.last_used_at = column_property(
    select(ClientSecretUse.used_at)
    .where(ClientSecretUse.secret_id == ClientSecret.id)
    .scalar_subquery()
)


class ClientGrantType(Base):
    """A grant type that the client may use."""

    __tablename__ = "client_grant_type"
    __table_args__ = (UniqueConstraint("client_id", "grant_type"),)
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    grant_type: Mapped[str] = mapped_column(String(250))


class ClientScope(Base):
    """A scope that the client may ask for."""

    __tablename__ = "client_scope"
    __table_args__ = (UniqueConstraint("client_id", "scope"),)
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    scope: Mapped[Name]


class ClientRedirectUri(Base):
    """An address that codes may be sent to, matched exactly."""

    __tablename__ = "client_redirect_uri"
    __table_args__ = (UniqueConstraint("client_id", "redirect_uri"),)
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    redirect_uri: Mapped[str] = mapped_column(String(2000))


class ClientPostLogoutRedirectUri(Base):
    """An address that people may be sent to after signing out, matched exactly."""

    __tablename__ = "client_post_logout_redirect_uri"
    __table_args__ = (UniqueConstraint("client_id", "post_logout_redirect_uri"),)
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    post_logout_redirect_uri: Mapped[str] = mapped_column(String(2000))


class ClientCorsOrigin(Base):
    """An origin whose scripts may call the token and userinfo endpoints."""

    __tablename__ = "client_cors_origin"
    __table_args__ = (UniqueConstraint("client_id", "origin"),)
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    origin: Mapped[str] = mapped_column(String(150), index=True)


class ClientClaim(Base):
    """A claim about the client itself, sent with the client's prefix."""

    __tablename__ = "client_claim"
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    type: Mapped[str] = mapped_column(String(250))
    value: Mapped[str] = mapped_column(String(250))


class ClientProperty(Base):
    """A free key and value kept with the client."""

    __tablename__ = "client_property"
    __table_args__ = (UniqueConstraint("client_id", "key"),)
    configuration = True

    id: Mapped[Id]
    client_id: Mapped[int] = reference("client.id")
    key: Mapped[str] = mapped_column(String(250))
    value: Mapped[str] = mapped_column(String(2000))


class ClientOwner(Base):
    """A person who manages a client."""

    __tablename__ = "client_owner"

    user_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("user.id", ondelete="CASCADE"), primary_key=True
    )
    client_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("client.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class RegistrationToken(Base):
    """An initial access token: lets clients register themselves (RFC 7591 3), by its policy."""

    __tablename__ = "registration_token"
    concerns_tokens = False

    id: Mapped[Id]
    tenant_id: Mapped[int | None] = reference("tenant.id")
    """What its clients belong to; None: the platform."""
    token_hash: Mapped[Digest] = mapped_column(unique=True)
    note: Mapped[str | None] = mapped_column(String(200))
    policy: Mapped[dict[str, Any]]
    """See `registration_tokens.Policy`."""
    uses_left: Mapped[int | None] = mapped_column(Integer)
    """How many more clients may register; None: any number."""
    created_by: Mapped[int | None] = reference("user.id", ondelete="SET NULL")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ClientRegistration(Base):
    """What belongs to a client that registered itself, beside its settings."""

    __tablename__ = "client_registration"
    concerns_tokens = False

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("client.id", ondelete="CASCADE"), unique=True
    )
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    """The issuer at which it registered."""
    registration_token_id: Mapped[int | None] = reference(
        "registration_token.id", ondelete="CASCADE"
    )
    """None: it registered without one."""
    token_hash: Mapped[Digest]
    """Of the registration access token (RFC 7592 1.2)."""
    extra: Mapped[dict[str, Any]]
    """Metadata that is kept and answered, such as contacts and software_id."""
    used_at: Mapped[datetime | None]
    """When the client last authenticated, by the minute."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)


class StrangerPolicy(Base):
    """Which clients an issuer serves that nobody here registered; without a row: the defaults."""

    __tablename__ = "stranger_policy"
    configuration = True

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("tenant.id", ondelete="CASCADE"), unique=True
    )
    """The tenant that is the issuer."""
    clients_by_document: Mapped[str] = mapped_column(String(10), default=OFF)
    """One of `BY_DOCUMENT`."""
    clients_by_document_hosts: Mapped[list[str]] = mapped_column(default=list)
    """Hosts that are let in where `listed`; `*.` at the beginning stands for one label."""
    clients_by_document_blocked: Mapped[list[str]] = mapped_column(default=list)
    """Addresses of documents, and hosts, that are never let in."""
    clients_by_registration: Mapped[str] = mapped_column(String(10), default="token")
    """One of `BY_REGISTRATION`."""
    stranger_scopes: Mapped[list[str]] = mapped_column(default=list)
    """Scopes that such clients may ask for, beside those of every one and of open APIs."""
    concurrency_stamp: Mapped[Stamp]
    """Replaced at every change."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
