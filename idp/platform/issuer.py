"""Issuers: the hosts that people sign in at."""

from __future__ import annotations

from dataclasses import dataclass

PLATFORM_TENANT_ID = 1
"""The tenant that is the platform itself: issuer 1, where platform roles count."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A tenant with hosts, as one request sees it. Issuer 1 is the platform itself."""

    tenant_id: int
    url: str
    """`iss`: scheme and host, no trailing slash."""
    host: str
    """Host and port that the request came to; the issuer's own when `is_canonical`."""
    name: str
    theme: str | None = None
    logo_uri: str | None = None

    @property
    def is_platform(self) -> bool:
        """Whether this is issuer 1, where platform roles count."""
        return self.tenant_id == PLATFORM_TENANT_ID

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by https."""
        return self.url.startswith("https://")

    @property
    def is_canonical(self) -> bool:
        """Whether the request came to the host that the issuer is named after."""
        return self.url.partition("://")[2] == self.host
