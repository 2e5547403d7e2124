"""The Authorization header, and what else a request shows of its sender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Credential = tuple[str, str]
"""The scheme of an Authorization header, in lower case, and what follows it."""

BEARER = "bearer"
DPOP = "dpop"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a request shows to prove that its sender holds a key."""

    proof: str | None
    """The `DPoP` header (RFC 9449 4.1)."""
    method: str
    addresses: Sequence[str]
    """The addresses that the request may have been sent to, without query; the path is escaped."""
    certificate: bytes | None = None
    """The certificate of its connection, in DER (RFC 8705)."""


def read(header: str | None) -> Credential | None:
    """Return the scheme and the value of an Authorization header (RFC 9110 11.4)."""
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    return scheme.lower(), value.strip()
