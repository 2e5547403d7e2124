"""What the protocol remembers: requests under way, consents, grants and the tokens hung on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, BigInt, Id, Json, reference


class AuthorizationRequest(Base):
    """An authorization (or logout) request that waits for the person to answer a page."""

    __tablename__ = "authorization_request"
    concerns_tokens = False

    id: Mapped[Id]
    handle_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    endpoint: Mapped[str] = mapped_column(String(20))
    """`authorize` or `endsession`."""
    parameters: Mapped[list[Any]] = mapped_column(Json)
    """The request as it came: [name, value] pairs."""
    session_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("browser_session.id", ondelete="CASCADE"), index=True
    )
    """Session whose person gave the answers below; they count in that session only."""
    account_chosen: Mapped[bool] = mapped_column(default=False)
    tenant_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("tenant.id", ondelete="CASCADE"), index=True
    )
    consented_scopes: Mapped[list[str] | None]
    """None: not asked yet; empty: refused."""
    consent_remember: Mapped[bool] = mapped_column(default=False)
    document_hash: Mapped[str | None] = mapped_column(String(43))
    """Of the document of the client that the person was shown."""
    level_declined: Mapped[bool] = mapped_column(default=False)
    """Whether the person goes on without the level that is wished for."""
    pushed_request_id: Mapped[int | None] = mapped_column(BigInt)
    """The pushed request that it came from; its row may be gone."""
    device_request_id: Mapped[int | None] = mapped_column(BigInt)
    """The request of a device that it answers; its row may be gone."""
    is_signed: Mapped[bool] = mapped_column(default=False)
    """Whether the client signed the parameters."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PushedRequest(Base):
    """An authorization request that a client sent ahead (RFC 9126), known by its SHA-256."""

    __tablename__ = "pushed_request"
    concerns_tokens = False

    id: Mapped[Id]
    handle_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    client_id: Mapped[int | None] = reference("client.id")
    """None: known by its document, and nobody allowed it anything yet; `parameters` name it."""
    parameters: Mapped[list[Any]] = mapped_column(Json)
    """What was checked: [name, value] pairs."""
    is_signed: Mapped[bool] = mapped_column(default=False)
    """Whether the client signed them."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When the row goes; later than it may be opened, once a page was shown."""
    used_at: Mapped[datetime | None]


class DeviceRequest(Base):
    """A request of a device without a browser (RFC 8628), known by hashes of its two codes."""

    __tablename__ = "device_request"
    concerns_tokens = False
    happens_once = True

    id: Mapped[Id]
    device_code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_code_mac: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    """By a key of ours: a code that people type is too short for a plain hash."""
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    client_id: Mapped[int] = reference("client.id")
    parameters: Mapped[list[Any]] = mapped_column(Json)
    """What was checked: [name, value] pairs."""
    remote_addr: Mapped[str | None] = mapped_column(String(100))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    poll_seconds: Mapped[int] = mapped_column(Integer)
    """How long the device waits between two polls."""
    grant_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("grant.id", ondelete="CASCADE"), index=True
    )
    """What the person allowed."""
    denied_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Consent(Base):
    """A person allowed a client some scopes, in one tenant."""

    __tablename__ = "consent"
    __table_args__ = (UniqueConstraint("user_id", "client_id", "tenant_id"),)

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    client_id: Mapped[int] = reference("client.id")
    tenant_id: Mapped[int] = reference("tenant.id")
    scopes: Mapped[list[str]]
    document_hash: Mapped[str | None] = mapped_column(String(43))
    """Of the document of the client as it was then; another document is asked for anew."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime | None] = mapped_column(index=True)


class Grant(Base):
    """One sign-in of one person at one client; revoking it ends every code and token on it."""

    __tablename__ = "grant"

    id: Mapped[Id]
    user_id: Mapped[int] = reference("user.id")
    client_id: Mapped[int] = reference("client.id")
    tenant_id: Mapped[int] = reference("tenant.id")
    issuer_tenant_id: Mapped[int] = reference("tenant.id")
    session_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("browser_session.id", ondelete="SET NULL"), index=True
    )
    sid: Mapped[str] = mapped_column(String(64))
    """Public session id, the `sid` claim."""
    security_stamp: Mapped[str] = mapped_column(String(64))
    """The person's stamp at sign-in; tokens are dead when it has changed."""
    scopes: Mapped[list[str]]
    resources: Mapped[list[str]]
    """RFC 8707 indicators of the authorization request."""
    claims_request: Mapped[dict[str, Any] | None]
    """OpenID Connect Core 5.5."""
    auth_time: Mapped[datetime]
    acr: Mapped[str] = mapped_column(String(100))
    amr: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When nothing that depends on it can be valid any more."""
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None] = mapped_column(String(50))


class SessionClient(Base):
    """A browser session signed in to a client; known for as long as the session is."""

    __tablename__ = "session_client"
    __table_args__ = (UniqueConstraint("session_id", "client_id"),)
    concerns_tokens = False
    newest_of = ("session_id", "client_id")

    id: Mapped[Id]
    session_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("browser_session.id", ondelete="CASCADE")
    )
    client_id: Mapped[int] = reference("client.id")
    sid_sent: Mapped[str] = mapped_column(String(64))
    """The `sid` that its tokens have."""
    last_at: Mapped[datetime]
    """When it got its last code."""


class AuthorizationCode(Base):
    """A code, known by its SHA-256."""

    __tablename__ = "authorization_code"
    concerns_tokens = False

    id: Mapped[Id]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    grant_id: Mapped[int] = reference("grant.id")
    redirect_uri: Mapped[str] = mapped_column(String(2000))
    code_challenge: Mapped[str | None] = mapped_column(String(128))
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))
    """Key that the code was asked for; only its holder redeems it (RFC 9449 10)."""
    nonce: Mapped[str | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class RefreshFamily(Base):
    """What became of the refresh token of a grant: one row, changed at every rotation.

    No index on a column that rotation changes, and room on each page: PostgreSQL then writes the
    new version of a row beside the old one and touches no index (HOT). The row goes with its
    grant, which outlives it by minutes.
    """

    __tablename__ = "refresh_family"
    __table_args__ = {"postgresql_with": {"fillfactor": 80}}  # noqa: RUF012 - SQLAlchemy's own
    concerns_tokens = False

    grant_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("grant.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int] = mapped_column(Integer, default=0)
    """Of the token that may be used now."""
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    rotated_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    absolute_expires_at: Mapped[datetime]
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))
    """Key that a public client must prove to hold; empty: none (RFC 9449 5)."""
    x5t_s256: Mapped[str | None] = mapped_column(String(43))
    """Certificate that a public client must show; empty: none (RFC 8705 4)."""


class FormerRefreshToken(Base):
    """A refresh token from before there were families, known by its SHA-256.

    They are used and spent until they expire, and none are made. Every rotation left a row.
    """

    __tablename__ = "refresh_token"
    concerns_tokens = False

    id: Mapped[Id]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    grant_id: Mapped[int] = reference("grant.id")
    generation: Mapped[int] = mapped_column(Integer, default=0)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    absolute_expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ReferenceToken(Base):
    """An access token whose content stays here, known by its SHA-256."""

    __tablename__ = "reference_token"

    id: Mapped[Id]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    grant_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("grant.id", ondelete="CASCADE"), index=True
    )
    client_id: Mapped[int] = reference("client.id")
    claims: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]


class SeenProof(Base):
    """A DPoP proof that was used, known by a SHA-256, kept for as long as it would be accepted.

    The table is UNLOGGED in PostgreSQL: a crash empties it.
    """

    __tablename__ = "seen_proof"
    concerns_tokens = False
    happens_once = True

    id: Mapped[Id]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RevokedToken(Base):
    """The `jti` of a JWT access token revoked by itself, kept until it would have expired."""

    __tablename__ = "revoked_token"

    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Refusal(Base):
    """A request that an endpoint of the protocol refused, kept for a few days: see `refusals`."""

    __tablename__ = "refusal"
    concerns_tokens = False

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    request_id: Mapped[str] = mapped_column(String(100), index=True)
    path: Mapped[str] = mapped_column(String(100))
    """Address of the endpoint."""
    error: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500))
    """What the caller was told."""
    reason: Mapped[str | None] = mapped_column(String(200))
    """What the caller was not told."""
    check_name: Mapped[str | None] = mapped_column(String(200))
    """Function that refused, below `idp.oauth`: `checks.pkce.prove`."""
    client_id: Mapped[str | None] = mapped_column(String(200))
    """Client that the request named, proven or not."""
    client_tenant_id: Mapped[int | None] = mapped_column(BigInt)
    """Tenant of that client; empty: the platform, or there is no such client."""
    issuer_tenant_id: Mapped[int] = mapped_column(BigInt)
