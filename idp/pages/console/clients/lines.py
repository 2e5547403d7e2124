"""Clients as the list shows them: kind, grants, age of secrets, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy.orm import Session

from idp.directory.clients import kinds
from idp.directory.clients.models import Client, ClientSecret
from idp.directory.product import DEVICE_CODE
from idp.directory.tenants import service as tenants
from idp.pages.console import times
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag

OLD_SECRET = timedelta(days=365)
ENDS_SOON = timedelta(days=30)
UNUSED = timedelta(days=90)
TOKENS = (Tag.CODE_ISSUED, Tag.TOKEN_ISSUED, Tag.TOKEN_REFRESHED)
LOOPBACKS = frozenset({"localhost", "127.0.0.1", "::1"})

KINDS: dict[str, tuple[Any, str]] = {
    "web": (lazy_gettext("Web"), "web"),
    "spa": (lazy_gettext("Single page"), "spa"),
    "native": (lazy_gettext("Native"), "native"),
    "device": (lazy_gettext("Device"), "device"),
    "service": (lazy_gettext("Service"), "service"),
}
"""What each kind is called, and its icon."""
GRANTS = {
    "authorization_code": "code",
    "refresh_token": "refresh",
    "client_credentials": "client",
    DEVICE_CODE: "device",
}
"""Short names of grant types."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody should look at: it will be wrong, or is."""

    text: str
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A client in the list."""

    client: Client
    kind: str
    tenant: str | None
    last_token: datetime | None
    secret_days: int | None
    """Age of the oldest secret that is valid; None: no secret."""
    warnings: Sequence[Notice]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.client.client_name or self.client.client_id

    @property
    def grants(self) -> list[str]:
        """Short names of its grant types."""
        return [GRANTS.get(row.grant_type, row.grant_type) for row in self.client.grant_types]


def of(session: Session, clients: Sequence[Client]) -> list[Line]:
    """Describe clients: two queries, however many there are."""
    last = audit.last_of_clients(session, [client.client_id for client in clients], TOKENS)
    names = tenants.names(session, {client.tenant_id for client in clients if client.tenant_id})
    return [
        _line(client, names.get(client.tenant_id or 0), last.get(client.client_id))
        for client in clients
    ]


@dataclass(frozen=True, slots=True)
class SecretLine:
    """A secret in the list; its value is nowhere."""

    id: int
    description: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    is_valid: bool
    state: str
    """Ending of the class that shows it."""
    state_text: str


def of_secret(secret: ClientSecret) -> SecretLine:
    """Describe a secret."""
    state, text = "good", _("Valid")
    if not is_valid(secret):
        state, text = "bad", _("Expired")
    elif secret.expires_at is not None and secret.expires_at < clock.now() + ENDS_SOON:
        state, text = "warn", _("Expires soon")
    return SecretLine(
        secret.id,
        secret.description,
        secret.created_at,
        secret.expires_at,
        secret.last_used_at,
        is_valid(secret),
        state,
        text,
    )


def is_valid(secret: ClientSecret) -> bool:
    """Return whether a secret has not expired."""
    return secret.expires_at is None or secret.expires_at > clock.now()


def _line(client: Client, tenant: str | None, last_token: datetime | None) -> Line:
    kind = kinds.kind_of(client)
    valid = [row for row in client.secrets if is_valid(row)]
    oldest = min((row.created_at for row in valid), default=None)
    return Line(
        client,
        kind,
        tenant,
        last_token,
        None if oldest is None else times.days(oldest),
        [*_warnings(client, kind, last_token)],
    )


def _warnings(client: Client, kind: str, last_token: datetime | None) -> list[Notice]:
    if not client.enabled:
        return []
    now = clock.now()
    found = [
        (not client.require_pkce, Notice(_("PKCE off"), is_bad=True)),
        (_is_plain(client), Notice(_("Address without https"), is_bad=True)),
        *((True, warning) for warning in _of_secrets(client)),
        (
            # Tokens of services are not recorded.
            kind != "service"
            and max(last_token or client.created_at, client.created_at) < now - UNUSED,
            Notice(_("Unused for 90 days"), is_bad=False),
        ),
    ]
    return [warning for applies, warning in found if applies]


def _of_secrets(client: Client) -> list[Notice]:
    now = clock.now()
    valid = [row for row in client.secrets if is_valid(row)]
    if client.secrets and not valid:
        return [Notice(_("Secret expired"), is_bad=True)]
    soon = [row for row in valid if row.expires_at is not None and row.expires_at < now + ENDS_SOON]
    if soon and len(soon) == len(valid):
        return [Notice(_("Secret expires soon"), is_bad=False)]
    if any(row.created_at < now - OLD_SECRET for row in valid):
        return [Notice(_("Secret over a year old"), is_bad=False)]
    return []


def _is_plain(client: Client) -> bool:
    """Return whether an address would carry a code over the network without https."""
    parts = [urlsplit(row.redirect_uri) for row in client.redirect_uris]
    return any(part.scheme == "http" and part.hostname not in LOOPBACKS for part in parts)
