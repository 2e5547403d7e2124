"""Settings: the only place that reads the environment."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL

from idp import colours, private_files, setting_files, setting_values
from idp.platform.translation import N_

SigningAlgorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]


def notify_socket() -> str:
    """Return the socket on which systemd expects the notice of readiness (sd_notify)."""
    return os.environ.get("NOTIFY_SOCKET", "")


PREFIX = "IDP_"
SECRET_LENGTH = 32
_WEB = frozenset({"http", "https"})
_REGION_LETTERS = 2
_GITHUB = "https://github.com"
_OURS = ("idp.sqlite3", "secret_key", "outbox", "files", "codegen", "lost+found")
"""Prefixes of the files in a data folder."""
# Kubernetes sets these in every container beside a service that is called `idp`.
_OF_KUBERNETES = re.compile(r"IDP_(SERVICE_(HOST|PORT)|PORT)(_\w+)?")
_LONGEST_DAYS = 36_500
_LONGEST_HOURS = 87_600


class SettingsError(Exception):
    """Settings that cannot be used; the message says what to set."""


class _Files(PydanticBaseSettingsSource):
    """The values of settings whose variable `IDP_<FIELD>_FILE` names a file."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of one setting; ValueError if it cannot be read."""
        del field
        if _given().get(variable(field_name)):
            message = f"{variable(field_name)} is set too; keep one of them"
            raise ValueError(message)
        environment = self.current_state.get("environment", _given().get(variable("environment")))
        private = environment != "development"
        return setting_files.read(named_files()[field_name], private=private), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of all; SettingsError names each that cannot be read."""
        found, wrong = {}, []
        for name in named_files():
            try:
                found[name], *_ = self.get_field_value(self.settings_cls.model_fields[name], name)
            except ValueError as problem:
                wrong.append(f"{file_variable(name)}: {problem}")
        if wrong:
            raise SettingsError("; ".join(wrong))
        return found


class Settings(BaseSettings):
    """Everything an operator can set. Each field is the variable `IDP_<FIELD>`.

    A field that holds a secret may also be read from the file that `IDP_<FIELD>_FILE` names.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        validate_default=False,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read files before the environment, where the same setting may be set and empty."""
        del dotenv_settings, file_secret_settings
        return init_settings, _Files(settings_cls), env_settings

    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description=N_("Address of issuer 1: scheme and host, no path."),
    )
    data_dir: Path = Field(
        default=Path("var"), description=N_("Folder of the embedded database and outbox.")
    )
    database_url: str = Field(
        default="",
        repr=False,
        description=N_(
            "`sqlite:///…` or `postgresql://…`, with several hosts as "
            "`postgresql://a:5432,b:5432/idp`; empty: SQLite in the data folder. "
            "A worker opens up to 22 connections to PostgreSQL."
        ),
    )
    database_prepare: bool = Field(
        default=True,
        description=N_(
            "Whether statements are prepared in PostgreSQL; `false` behind a connection pooler in "
            "transaction mode that does not support that: PgBouncer before 1.22, or without "
            "`max_prepared_statements`."
        ),
    )
    migrate_url: str = Field(
        default="",
        repr=False,
        description=N_(
            "Address of PostgreSQL itself, by which `idp setup` runs migrations where "
            "`IDP_DATABASE_URL` leads to a connection pooler; empty: `IDP_DATABASE_URL`."
        ),
    )
    redis_url: str = Field(
        default="",
        repr=False,
        description=N_(
            "Redis or Valkey for shared counters: `redis://host:6379/0`, `rediss://…` with "
            "TLS, `redis+sentinel://host:26379,host:26379/name-of-the-master/0` or `unix:///path`; "
            "empty: counters are kept in the process."
        ),
    )
    keys_dir: Path = Field(
        default=Path("keys"),
        description=N_("Folder whose PEM files `idp setup` imports as signing keys."),
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description=N_(
            "Root of all derived keys, 32 characters or more; `new,old` while rotating."
        ),
    )
    environment: Literal["production", "development"] = Field(
        default="production",
        description=N_("`development` allows plain http and a generated secret key."),
    )
    admin_username: str = Field(
        default="admin", description=N_("User name of the first administrator.")
    )
    admin_password: SecretStr = Field(
        default=SecretStr(""),
        description=N_("First administrator's password; empty: random, printed once."),
    )
    demo: bool = Field(
        default=False,
        description=N_(
            "Seed a demo user and three demo clients; a new installation for `development`"
            " also two organisations with a past of thirty days."
        ),
    )
    demo_password: SecretStr = Field(
        default=SecretStr(""),
        description=N_("Password of the user `demo`; empty: random, printed by setup."),
    )
    demo_web_secret: SecretStr = Field(
        default=SecretStr(""),
        description=N_("Secret of client `demo-web`; empty: random, printed by setup."),
    )
    demo_service_secret: SecretStr = Field(
        default=SecretStr(""),
        description=N_("Secret of client `demo-service`; empty: random, printed by setup."),
    )
    smtp_url: str = Field(
        default="",
        repr=False,
        description=N_("`smtp://user:password@host:587` or `smtps://…`; empty: no mail is sent."),
    )
    mail_from: str = Field(
        default="", description=N_("Sender of mails; empty: `no-reply@` the public host.")
    )
    sms_url: str = Field(
        default="", repr=False, description=N_("HTTP gateway that text messages are posted to.")
    )
    sms_per_hour: int = Field(
        default=500,
        ge=1,
        description=N_(
            "Maximum number of text messages that the installation sends in an hour; "
            "further codes are refused."
        ),
    )
    registration: bool = Field(
        default=True,
        description=N_("Whether anyone can create an account on the page `/register`."),
    )
    breached_passwords: str = Field(
        default="",
        description=N_(
            "File of stolen passwords, made by `idp passwords prepare`: none of them can be set; "
            "empty: only the commonest ones are refused."
        ),
    )
    second_factor: Literal["optional", "required"] = Field(
        default="optional",
        description=N_(
            "Whether everyone must have a second factor: `required` asks people without one to set "
            "it up when they sign in. People who have one are always asked for it. The policy of "
            "the platform can say otherwise."
        ),
    )
    device_days: int = Field(
        default=30,
        ge=0,
        le=365,
        description=N_(
            "Days for which people may choose not to be asked for the second factor again on a "
            "device; 0: never."
        ),
    )
    mail_new_devices: bool = Field(
        default=True,
        description=N_(
            "Whether people are notified by mail of a sign-in from a device that they did not sign "
            "in with before."
        ),
    )
    security_contact: str = Field(
        default="",
        description=N_(
            "Where weaknesses are reported, served at `/.well-known/security.txt`: "
            "`mailto:…` or `https://…`; empty: no such file."
        ),
    )
    brand_accent: str = Field(
        default="",
        description=N_(
            "Accent colour of the pages of tenants that set none, as `#rrggbb`; empty: blue."
        ),
    )
    brand_help_url: str = Field(
        default="",
        description=N_("Link to help on the pages of tenants that set none; empty: no link."),
    )
    brand_privacy_url: str = Field(
        default="",
        description=N_(
            "Link to the privacy policy on the pages of tenants that set none; empty: no link."
        ),
    )
    brand_imprint_url: str = Field(
        default="",
        description=N_(
            "Link to the imprint on the pages of tenants that set none; empty: no link."
        ),
    )
    files_url: str = Field(
        default="",
        repr=False,
        description=N_(
            "Where uploaded files are kept: `s3://bucket/folder?region=…`, `gs://…` or "
            "`az://…` (needs the extra `objects`); empty: `files` in the data folder."
        ),
    )
    files_public_url: str = Field(
        default="",
        description=N_(
            "Another origin that uploaded files are served from; empty: the issuer's own."
        ),
    )
    files_scanner: str = Field(
        default="",
        description=N_(
            "Virus scanner for uploads: `unix:/run/clamav/clamd.ctl`, `tcp://host:3310`, or a "
            "command that reads standard input and ends with 0 (clean) or 1."
        ),
    )
    phone_region: str = Field(
        default="CN", description=N_("Region of mobile numbers in national form.")
    )
    gateway: str = Field(
        default="",
        description=(
            N_(
                "Gateway that APIs are published to: empty for none but our own tables,"
                " `caddy+http://HOST:PORT` for Caddy's admin API, `azure` for the tenants' own."
            )
        ),
    )
    fetch_allow: str = Field(
        default="",
        description=N_("Internal hosts or networks that may be fetched from, separated by commas."),
    )
    fetch_strangers_per_minute: int = Field(
        default=60,
        ge=1,
        le=6000,
        description=N_(
            "Descriptions of unregistered applications that one worker process fetches in a minute."
        ),
    )
    dns_server: str = Field(
        default="",
        description=N_(
            "Name server that is used to verify the hosts of tenants, as `192.0.2.53` or "
            "`192.0.2.53:53`; empty: those of the system."
        ),
    )
    codegen_generators: str = Field(
        default="",
        description=N_("Generators that may be run, by name, separated by commas; empty: all."),
    )
    codegen_with_network: bool = Field(
        default=False,
        description=N_(
            "Whether generators may run where the system cannot cut them off from the "
            "network. They read untrusted descriptions; an unusable proxy setting is then the only "
            "barrier."
        ),
    )
    npm_registry: str = Field(
        default="",
        description=N_(
            "Registry that SDKs are published to with npm; empty: as npm is configured."
        ),
    )
    git_url: str = Field(
        default=_GITHUB,
        description=N_("Git server that SDKs and their documentation are pushed to over HTTP."),
    )
    github_api_url: str = Field(
        default="",
        description=N_(
            "REST API of GitHub for labels; empty: that of github.com if `IDP_GIT_URL` is "
            "there, else no labels."
        ),
    )
    trusted_proxies: str = Field(
        default="", description=N_("Addresses or networks whose X-Forwarded-* headers are trusted.")
    )
    client_certificate: str = Field(
        default="",
        description=N_(
            "How the proxy passes on certificates of clients: `rfc9440`, `nginx`, `caddy`, "
            "`envoy`, `haproxy`, `traefik`, or `header:NAME:pem`, `der` or `urlpem`; empty: not at "
            "all. Only what comes from `IDP_TRUSTED_PROXIES` is read."
        ),
    )
    client_ca: str = Field(
        default="",
        description=N_(
            "PEM file of the authorities that vouch for clients with `tls_client_auth`; "
            "empty: none."
        ),
    )
    mtls_prefix: str = Field(
        default="",
        description=N_(
            "Prefix of the hosts at which the proxy asks clients for certificates, such as "
            "`mtls.`: there the endpoints for programs answer too; empty: no such hosts."
        ),
    )
    dpop_nonce: bool = Field(
        default=False,
        description=N_(
            "Whether every DPoP proof needs a nonce of this server; `false`: only those of clients "
            "whose clock is wrong."
        ),
    )
    metrics_listen: str = Field(
        default="", description=N_("HOST:PORT of the Prometheus listener; empty: no listener.")
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description=N_("Least severe level that is logged; secrets are logged at none."),
    )
    log_format: Literal["", "json", "ecs", "readable"] = Field(
        default="",
        description=N_(
            "Form of the log: `json`, `ecs` (the names of the Elastic Common Schema) or "
            "`readable`; empty: `json`, in development `readable`."
        ),
    )
    otlp_url: str = Field(
        default="",
        description=N_(
            "Collector that traces are sent to by OTLP over HTTP (needs the extra `otel`): "
            "`http(s)://host:4318`; empty: nothing is traced."
        ),
    )
    trace_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description=N_(
            "Share of the traces that begin here and are sent; those that a trusted proxy "
            "begins are sent as it says."
        ),
    )
    slow_seconds: float = Field(
        default=0.5,
        gt=0,
        le=3600,
        description=N_(
            "Statements of the database that take this long are logged, without values."
        ),
    )
    signing_alg: SigningAlgorithm = Field(
        default="RS256", description=N_("Algorithm of tokens whose client or API names none.")
    )
    key_rotation_days: int = Field(
        default=90,
        ge=1,
        le=_LONGEST_DAYS,
        description=N_("Age in days at which the active signing key is replaced."),
    )
    session_hours: int = Field(
        default=10,
        ge=1,
        le=_LONGEST_HOURS,
        description=N_("Lifetime of a session without `remember me`."),
    )
    remember_days: int = Field(
        default=30,
        ge=1,
        le=_LONGEST_DAYS,
        description=N_("Lifetime of a session with `remember me`."),
    )
    audit_days: int = Field(
        default=400, ge=1, le=_LONGEST_DAYS, description=N_("Days that audit events are kept.")
    )
    audit_token_days: int = Field(
        default=90,
        ge=1,
        le=_LONGEST_DAYS,
        description=N_(
            "Days that audit events about codes and tokens of clients are kept, which are most of "
            "all events; never longer than `IDP_AUDIT_DAYS`."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        """Strip spaces around values; an empty value means the default."""
        stripped = {
            name: value.strip() if isinstance(value, str) else value
            for name, value in values.items()
        }
        return {name: value for name, value in stripped.items() if value != ""}

    @model_validator(mode="wrap")
    @classmethod
    def _without_contents(
        cls, values: Any, handler: ModelWrapValidatorHandler[Settings]
    ) -> Settings:
        """Replace errors that show what a file holds."""
        try:
            return handler(values)
        except ValidationError as problem:
            if of_files := _errors_of_files(problem):
                raise SettingsError("; ".join(of_files)) from None
            raise

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        return setting_values.address(value, _WEB, "http(s)://host[:port] without a path")

    @field_validator("files_public_url")
    @classmethod
    def _place_of_files(cls, value: str) -> str:
        return setting_values.address(value, _WEB, "http(s)://host[:port][/path]", path=True)

    @field_validator("breached_passwords")
    @classmethod
    def _stolen_passwords(cls, value: str) -> str:
        return setting_values.breached_passwords(value)

    @field_validator("database_url")
    @classmethod
    def _database_address(cls, value: str) -> str:
        return setting_values.database_url(value)

    @field_validator("migrate_url")
    @classmethod
    def _address_for_migrations(cls, value: str) -> str:
        return setting_values.server_url(value)

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: str) -> str:
        return setting_values.redis_url(value)

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: str) -> str:
        form = (
            "smtp://user:password@host:587 or smtps://host:465"
            " (with / ? # @ : % of a password as %XX)"
        )
        return setting_values.address(value, {"smtp", "smtps"}, form, user=True)

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        return setting_values.sender(value)

    @field_validator("sms_url")
    @classmethod
    def _message_gateway(cls, value: str) -> str:
        form = "http(s)://host[:port]/path"
        return setting_values.address(value, _WEB, form, path=True, user=True, query=True)

    @field_validator("otlp_url")
    @classmethod
    def _collector(cls, value: str) -> str:
        return setting_values.address(value, _WEB, "http(s)://host[:port][/path]", path=True)

    @field_validator("security_contact")
    @classmethod
    def _contact(cls, value: str) -> str:
        return setting_values.contact(value)

    @field_validator("brand_accent")
    @classmethod
    def _accent(cls, value: str) -> str:
        value = value.lower()
        if value and not colours.is_colour(value):
            message = f"must be #rrggbb such as #1f5fbf, not {value[:20]!r}"
            raise ValueError(message)
        if value and colours.contrast(value, colours.WHITE) < colours.LEAST_CONTRAST:
            message = f"must have a contrast of 4.5:1 with white; {value} is too light"
            raise ValueError(message)
        return value

    @field_validator("brand_help_url", "brand_privacy_url", "brand_imprint_url")
    @classmethod
    def _linked(cls, value: str) -> str:
        form = "https://host[:port]/path"
        return setting_values.address(value, {"https"}, form, path=True, query=True)

    @field_validator("files_url")
    @classmethod
    def _bucket(cls, value: str) -> str:
        if not urlsplit(value).scheme or not urlsplit(value).netloc:
            message = (
                f"must be s3://bucket/folder, gs://… or az://…, not {setting_values.shown(value)!r}"
            )
            raise ValueError(message)
        return value

    @field_validator("files_scanner")
    @classmethod
    def _scanner(cls, value: str) -> str:
        if value.startswith("tcp:"):
            return setting_values.address(value, {"tcp"}, "tcp://host:3310")
        if value.startswith("unix:") and not value.startswith("unix:/"):
            message = f"must be unix:/path, not {value!r}"
            raise ValueError(message)
        return value

    @field_validator("phone_region")
    @classmethod
    def _region(cls, value: str) -> str:
        if len(value) != _REGION_LETTERS or not value.isascii() or not value.isalpha():
            message = f"must be two letters of ISO 3166-1 such as CN, not {value!r}"
            raise ValueError(message)
        return value.upper()

    @field_validator("npm_registry", "git_url", "github_api_url")
    @classmethod
    def _service(cls, value: str) -> str:
        return setting_values.address(value, _WEB, "http(s)://host[:port][/path]", path=True)

    @field_validator("fetch_allow")
    @classmethod
    def _fetched_from(cls, value: str) -> str:
        return ",".join(map(setting_values.reachable, _parts(value)))

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        return ",".join(map(setting_values.network, _parts(value)))

    @field_validator("client_certificate")
    @classmethod
    def _passed_certificates(cls, value: str) -> str:
        return setting_values.passed_certificates(value)

    @field_validator("client_ca")
    @classmethod
    def _authorities(cls, value: str) -> str:
        return setting_values.authorities(value)

    @field_validator("mtls_prefix")
    @classmethod
    def _prefix_of_hosts(cls, value: str) -> str:
        return setting_values.host_prefix(value)

    @field_validator("dns_server")
    @classmethod
    def _name_server(cls, value: str) -> str:
        if value:
            setting_values.name_server(value)
        return value

    @field_validator("metrics_listen")
    @classmethod
    def _listener(cls, value: str) -> str:
        setting_values.host_and_port(value)
        return value

    @model_validator(mode="after")
    def _files_elsewhere(self) -> Settings:
        # Uploaded files must not share cookies and storage with the sign-in pages.
        if self.files_host == self.public_host:
            message = "IDP_FILES_PUBLIC_URL must name another host than IDP_PUBLIC_URL"
            raise ValueError(message)
        return self

    @field_validator("gateway")
    @classmethod
    def _known_gateway(cls, value: str) -> str:
        if value in {"", "local", "azure"}:
            return value
        for verify in parse_qs(urlsplit(value).query).get("verify", ()):
            setting_values.address(verify, _WEB, "http(s)://host[:port] in verify=")
        form = "empty, local, azure or caddy+http://host:port"
        return setting_values.address(value, {"caddy+http"}, form, query=True)

    @model_validator(mode="after")
    def _safe_in_production(self) -> Settings:
        if self.environment == "production" and not self.secure and not self.on_loopback:
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
        """Host and port that serve uploaded files only, if any."""
        return urlsplit(self.files_public_url).netloc.lower() or None

    @cached_property
    def scheme(self) -> str:
        """Scheme of every issuer."""
        return urlsplit(self.public_url).scheme

    @cached_property
    def on_loopback(self) -> bool:
        """Whether issuer 1 is at an address of this computer."""
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
        return self.database_url or sqlite_url(self.data_dir.resolve() / "idp.sqlite3")

    @cached_property
    def migrations(self) -> str:
        """Address by which migrations are run, in SQLAlchemy's form."""
        return self.migrate_url or self.database

    @property
    def log_form(self) -> Literal["json", "ecs", "readable"]:
        """Form of the log."""
        return self.log_format or ("readable" if self.environment == "development" else "json")

    @property
    def github_api(self) -> str:
        """REST API of GitHub for labels; empty: none."""
        return self.github_api_url or ("https://api.github.com" if self.git_url == _GITHUB else "")

    @cached_property
    def files_dir(self) -> Path:
        """Folder of uploaded files when they are stored locally."""
        return self.data_dir / "files"

    @cached_property
    def outbox_dir(self) -> Path:
        """Folder that messages are written to when there is no way to send them."""
        return self.data_dir / "outbox"

    @cached_property
    def local_secret(self) -> Path:
        """File with the secret of a development installation."""
        return self.data_dir / "secret_key"

    def make_data_dir(self) -> bool:
        """Create the data folder, closed to others; return whether an existing one is closed."""
        try:
            private_files.make_folder(self.data_dir)
            for folder in (self.outbox_dir, self.files_dir, self.data_dir / "codegen"):
                private_files.close_folder(folder)
            private_files.close_file(self.local_secret)
            return private_files.close_folder(self.data_dir, _OURS)
        except OSError as error:
            message = (
                f"IDP_DATA_DIR: {self.data_dir.absolute()} cannot be made or used"
                f" ({os.strerror(error.errno or 0)}); name a folder that this user may write to"
            )
            raise SettingsError(message) from None

    @cached_property
    def secret_keys(self) -> tuple[str, ...]:
        """Root secrets, the current one first.

        Outside production a missing one is generated and stored in the data folder.
        """
        self.check_secret()
        if self._given_secrets:
            return self._given_secrets
        self.make_data_dir()
        return (private_files.write_once(self.local_secret, secrets.token_urlsafe(48)),)

    def check_secret(self) -> None:
        """Refuse root secrets that are missing or weak; generate none."""
        given = self._given_secrets
        if any(len(key) < SECRET_LENGTH for key in given):
            message = f"IDP_SECRET_KEY must have {SECRET_LENGTH} characters or more"
            raise SettingsError(message)
        if self.environment == "development":
            return
        folder = self.data_dir.absolute()
        if given and setting_values.can_be_guessed(given[0]):
            # Only the first: older ones after it are about to be removed.
            message = (
                "IDP_SECRET_KEY can be guessed: set it to what `openssl rand -base64 48` prints,"
                " or where it is in use already, put that in front of it (`new,old`) and then run"
                " `idp keys rewrap`"
            )
        elif given:
            return
        elif self.local_secret.is_file():
            message = (
                f"IDP_SECRET_KEY is not set; {folder} holds a development installation, which"
                " IDP_ENVIRONMENT=development serves"
            )
        else:
            message = (
                f"IDP_SECRET_KEY is not set, and no installation is in {folder} (IDP_DATA_DIR): run"
                " this in the folder of the installation or with its settings; for a new one set"
                " IDP_SECRET_KEY to what `openssl rand -base64 48` prints"
            )
        raise SettingsError(message)

    @property
    def _given_secrets(self) -> tuple[str, ...]:
        return tuple(_parts(self.secret_key.get_secret_value()))


@dataclass(frozen=True, slots=True)
class SettingInUse:
    """A setting as administrators may see it."""

    name: str
    """The variable."""
    value: str | int | bool | None
    """None: a secret that is set."""
    source: Literal["environment", "file", "default"]
    file: str
    """The file that the value is read from; empty: none."""
    is_secret: bool
    length: int
    """Characters of a secret; 0 for others."""
    description: str


def in_use(settings: Settings) -> list[SettingInUse]:
    """List every setting with its value and where that comes from; of secrets only that they are.

    A field that is left out of `repr` holds an address with a password: host and port are shown.
    """
    return [
        SettingInUse(
            name=variable(name),
            value=_shown(getattr(settings, name), hides_address=not field.repr),
            source=_source(settings, name),
            file=str(named_files().get(name, "")),
            is_secret=isinstance(getattr(settings, name), SecretStr),
            length=_secret_length(getattr(settings, name)),
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _source(settings: Settings, name: str) -> Literal["environment", "file", "default"]:
    if name not in settings.model_fields_set:
        return "default"
    return "file" if name in named_files() else "environment"


def _secret_length(value: Any) -> int:
    return len(value.get_secret_value()) if isinstance(value, SecretStr) else 0


def _shown(value: Any, *, hides_address: bool) -> str | int | bool | None:
    if isinstance(value, SecretStr):
        return None if value.get_secret_value() else ""
    if isinstance(value, bool | int):
        return value
    return setting_values.shown(str(value)) if hides_address else str(value)


def sqlite_url(path: Path) -> str:
    """Return the address of a SQLite file with any characters in its path."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def variable(name: str) -> str:
    """Return the variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def file_variable(name: str) -> str:
    """Return the variable that names the file of a setting."""
    return f"{variable(name)}_FILE"


def secret_fields() -> list[str]:
    """List the settings that hold a secret, or an address that may hold one."""
    return [
        name
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr or not field.repr
    ]


def named_files() -> dict[str, Path]:
    """Return the files that settings are read from, by setting."""
    given = _given()
    paths = {name: given.get(file_variable(name)) for name in secret_fields()}
    return {name: Path(path) for name, path in paths.items() if path}


def _given() -> dict[str, str]:
    """Return the variables that may be settings, by name in capitals, without blanks around."""
    return {
        name.upper(): value.strip()
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX)
    }


def _errors_of_files(problem: ValidationError) -> list[str]:
    """Return a sentence for each wrong value that is read from a file."""
    fields = {str(error["loc"][0]): error["msg"] for error in problem.errors() if error["loc"]}
    return [
        f"{file_variable(field)}: what the file holds {_form(message)}"
        for field, message in fields.items()
        if field in named_files()
    ]


def _form(message: str) -> str:
    """Return the form that a message asks for, without what was found instead."""
    form, found, _ = message.removeprefix("Value error, ").partition(", not ")
    return form if found and form.startswith("must be ") else "cannot be used"


def unknown_variables() -> dict[str, str]:
    """Return variables that look like settings but are not, each with the nearest one, if any."""
    known = [variable(name) for name in Settings.model_fields]
    known += [file_variable(name) for name in secret_fields()]
    found = sorted(
        name
        for name in os.environ
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not _OF_KUBERNETES.fullmatch(name)
    )
    return {
        name: next(iter(difflib.get_close_matches(name.upper(), known, 1)), "") for name in found
    }


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
