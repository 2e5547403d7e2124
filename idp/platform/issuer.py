"""Issuers: the hosts that people sign in at."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

PLATFORM_TENANT_ID = 1
"""The tenant that is the platform itself: issuer 1, where platform roles count."""


@dataclass(frozen=True, slots=True)
class Brand:
    """What pages and mails show of a tenant; defaults are filled in."""

    tenant_id: int
    issuer_tenant_id: int
    name: str
    is_own: bool = False
    """Whether the tenant has a branding or a palette, and not the defaults alone."""
    accent: str | None = None
    """`#rrggbb`; None: the colours of the product."""
    accent_dark: str | None = None
    logo: str | None = None
    """Name of a stored file."""
    logo_uri: str | None = None
    """Address of a picture elsewhere, shown where there is no file."""
    icon: str | None = None
    help_uri: str | None = None
    privacy_uri: str | None = None
    imprint_uri: str | None = None
    texts: tuple[tuple[str, str, str], ...] = ()
    """(language, place, text)."""

    @property
    def letter(self) -> str:
        """The letter shown where there is no logo."""
        return self.name.strip()[:1].upper() or "?"

    def text(self, place: str, language: str) -> str:
        """Return the text of a place in a language; empty where there is none."""
        found = (text for spoken, of, text in self.texts if (spoken, of) == (language, place))
        return next(found, "")


@dataclass(frozen=True, slots=True)
class Issuer:
    """A tenant with hosts, as one request sees it. Issuer 1 is the platform itself."""

    tenant_id: int
    url: str
    """`iss`: scheme and host, no trailing slash."""
    host: str
    """Host and port that the request came to; the issuer's own when `is_canonical`."""
    name: str
    """What pages and mails call it."""
    brand: Brand | None = None

    @property
    def is_platform(self) -> bool:
        """Whether this is issuer 1, where platform roles count."""
        return self.tenant_id == PLATFORM_TENANT_ID

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by https."""
        return self.url.startswith("https://")

    @property
    def passkey_host(self) -> str | None:
        """Host name, without port, that browsers bind passkeys to; None: they refuse to.

        Web Authentication 5.1.3: it must be a domain, in a secure context.
        """
        name = urlsplit(self.url).hostname or ""
        try:
            ip_address(name)
        except ValueError:
            is_local = name == "localhost" or name.endswith(".localhost")
            return name if self.is_secure or is_local else None
        return None

    @property
    def is_canonical(self) -> bool:
        """Whether the request came to the host that the issuer is named after."""
        return self.url.partition("://")[2] == self.host
