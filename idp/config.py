"""Settings: the only place that reads the environment."""

from __future__ import annotations

import ipaddress
import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SigningAlgorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]


class SettingsError(Exception):
    """Settings that cannot be served with; the message says what to set."""


class Settings(BaseSettings):
    """Everything an operator can set. Each field is the variable `IDP_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="IDP_", frozen=True, extra="ignore")

    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Address of issuer 1: scheme and host, no path.",
    )
    data_dir: Path = Field(
        default=Path("var"), description="Folder of the embedded database and outbox."
    )
    database_url: str = Field(
        default="",
        repr=False,
        description="`sqlite:///…` or `postgresql+psycopg://…`; empty: SQLite in the data folder. "
        "A worker opens up to 22 connections to PostgreSQL.",
    )
    redis_url: str = Field(
        default="",
        repr=False,
        description="Redis or Valkey for shared counters; empty: counters live in the process.",
    )
    keys_dir: Path = Field(
        default=Path("keys"),
        description="Folder whose PEM files `idp setup` imports as signing keys.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="Root of all derived keys, 32 characters or more; `new,old` while rotating.",
    )
    environment: Literal["production", "development"] = Field(
        default="production",
        description="`development` allows plain http and a generated secret key.",
    )
    admin_username: str = Field(
        default="admin", description="User name of the first administrator."
    )
    admin_password: SecretStr = Field(
        default=SecretStr(""),
        description="First administrator's password; empty: random, printed once.",
    )
    demo: bool = Field(default=False, description="Seed a demo user and three demo clients.")
    demo_password: SecretStr = Field(
        default=SecretStr(""),
        description="Password of the user `demo`; empty: random, printed by setup.",
    )
    demo_web_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret of client `demo-web`; empty: random, printed by setup.",
    )
    demo_service_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret of client `demo-service`; empty: random, printed by setup.",
    )
    smtp_url: str = Field(
        default="",
        repr=False,
        description="`smtp://user:password@host:587` or `smtps://…`; empty: no mail is sent.",
    )
    mail_from: str = Field(
        default="", description="Sender of mails; empty: `no-reply@` the public host."
    )
    sms_url: str = Field(
        default="", repr=False, description="HTTP gateway that short messages are posted to."
    )
    sms_per_hour: int = Field(
        default=500,
        ge=1,
        description="Short messages that the installation sends in an hour at most; codes beyond "
        "are refused.",
    )
    registration: bool = Field(
        default=True,
        description="Whether strangers may make themselves accounts at the page `/register`.",
    )
    files_url: str = Field(
        default="",
        repr=False,
        description="Where uploaded files are kept: `s3://bucket/folder?region=…`, `gs://…` or "
        "`az://…` (needs the extra `objects`); empty: `files` in the data folder.",
    )
    files_public_url: str = Field(
        default="",
        description="Another origin that uploaded files are served from; empty: the issuer's own.",
    )
    files_scanner: str = Field(
        default="",
        description="Looks for viruses in uploads: `unix:/run/clamav/clamd.ctl`, "
        "`tcp://host:3310`, or a command that reads standard input and ends with 0 (clean) or 1.",
    )
    phone_region: str = Field(
        default="CN", description="Region of mobile numbers in national form."
    )
    gateway: str = Field(
        default="",
        description=(
            "Gateway that APIs are published to: empty for none but our tables,"
            " `caddy+http://HOST:PORT` for Caddy's admin API, `azure` for the tenants' own."
        ),
    )
    fetch_allow: str = Field(
        default="",
        description="Inner hosts or networks that may be fetched from, separated by commas.",
    )
    codegen_generators: str = Field(
        default="",
        description="Generators that may be run, by name, separated by commas; empty: all.",
    )
    codegen_with_network: bool = Field(
        default=False,
        description="Whether generators may run where the system cannot cut them off from the "
        "network. They read what strangers describe; dead proxies then are all that holds them.",
    )
    npm_registry: str = Field(
        default="https://registry.npmjs.org",
        description="Registry that SDKs are published to with npm.",
    )
    git_url: str = Field(
        default="https://github.com",
        description="Git server that SDKs and their documentation are pushed to over HTTP.",
    )
    github_api_url: str = Field(
        default="https://api.github.com",
        description="REST API of GitHub for labels; empty where the Git server is another one.",
    )
    trusted_proxies: str = Field(
        default="", description="Addresses or networks whose X-Forwarded-* headers are believed."
    )
    metrics_listen: str = Field(
        default="", description="HOST:PORT of the Prometheus listener; empty: no listener."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least weight of what is logged; secrets are logged at none."
    )
    signing_alg: SigningAlgorithm = Field(
        default="RS256", description="Algorithm of tokens whose client or API names none."
    )
    key_rotation_days: int = Field(
        default=90, ge=1, description="Age in days at which the active signing key is replaced."
    )
    session_hours: int = Field(
        default=10, ge=1, description="Life of a sign-in without `remember me`."
    )
    remember_days: int = Field(
        default=30, ge=1, description="Life of a sign-in with `remember me`."
    )
    audit_days: int = Field(default=400, ge=1, description="Days that audit events are kept.")

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        parts = urlsplit(value.rstrip("/"))
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            message = "must be http(s)://host[:port]"
            raise ValueError(message)
        if parts.path or parts.query or parts.fragment:
            message = "must have no path, query or fragment"
            raise ValueError(message)
        return value.rstrip("/").lower()

    @field_validator("files_public_url")
    @classmethod
    def _address_only(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (
            parts.scheme not in {"http", "https"} or not parts.hostname or parts.username
        ):
            message = "must be http(s)://host[:port][/path]"
            raise ValueError(message)
        if parts.query or parts.fragment:
            message = "must have no query or fragment"
            raise ValueError(message)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _files_elsewhere(self) -> Settings:
        # What strangers sent must not share cookies and storage with the pages of sign-in.
        if self.files_host == self.public_host:
            message = "IDP_FILES_PUBLIC_URL must name another host than IDP_PUBLIC_URL"
            raise ValueError(message)
        return self

    @field_validator("gateway")
    @classmethod
    def _known_gateway(cls, value: str) -> str:
        if value in {"", "local", "azure"}:
            return value
        parts = urlsplit(value)
        if parts.scheme != "caddy+http" or not parts.hostname or parts.path.strip("/"):
            message = "must be empty, local, azure or caddy+http://host:port"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _safe_in_production(self) -> Settings:
        if self.environment == "production" and not self.secure and not self._on_loopback:
            message = "IDP_PUBLIC_URL must be https:// in production (http only for loopback)"
            raise ValueError(message)
        return self

    @cached_property
    def secure(self) -> bool:
        """Whether browsers reach the service by https."""
        return self.public_url.startswith("https://")

    @cached_property
    def public_host(self) -> str:
        """Host and port of issuer 1, as browsers write them in the Host header."""
        return urlsplit(self.public_url).netloc

    @cached_property
    def files_host(self) -> str | None:
        """Host and port that uploaded files have for themselves, if any."""
        return urlsplit(self.files_public_url).netloc.lower() or None

    @cached_property
    def scheme(self) -> str:
        """Scheme that every issuer is reached by."""
        return urlsplit(self.public_url).scheme

    @cached_property
    def _on_loopback(self) -> bool:
        name = urlsplit(self.public_url).hostname or ""
        if name == "localhost":
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    @cached_property
    def database(self) -> str:
        """Database address in SQLAlchemy's form."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'idp.sqlite3'}"

    @cached_property
    def files_dir(self) -> Path:
        """Folder of uploaded files when they are kept here."""
        return self.data_dir / "files"

    @cached_property
    def outbox_dir(self) -> Path:
        """Folder that messages are written to when there is no way to send them."""
        return self.data_dir / "outbox"

    @cached_property
    def secret_keys(self) -> tuple[str, ...]:
        """Root secrets, the current one first.

        Outside production a missing one is made and kept in the data folder.
        """
        given = tuple(
            key.strip() for key in self.secret_key.get_secret_value().split(",") if key.strip()
        )
        if any(len(key) < 32 for key in given):  # noqa: PLR2004 - the number is in the sentence
            message = "IDP_SECRET_KEY must have 32 characters or more"
            raise SettingsError(message)
        if given:
            return given
        if self.environment == "production":
            message = "set IDP_SECRET_KEY to 32 random characters or more"
            raise SettingsError(message)
        return (_local_secret(self.data_dir / "secret_key"),)


def _local_secret(path: Path) -> str:
    """Read the development secret, making it on first use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="ascii") as file:
            path.chmod(0o600)
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text(encoding="ascii").strip()
