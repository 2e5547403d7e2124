"""Whom an access token is for: anybody who has it, or the holder of a key (RFC 7800)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

THUMBPRINT = "jkt"
"""Member of `cnf` that names a key by its thumbprint (RFC 9449 6.1)."""
CERTIFICATE = "x5t#S256"
"""Member of `cnf` that names a certificate by its thumbprint (RFC 8705 3.1)."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The key that the sender of a token must prove to hold; none: whoever has it may use it."""

    jkt: str | None = None
    """Thumbprint of the key of DPoP proofs."""
    x5t_s256: str | None = None
    """Thumbprint of the certificate of connections."""

    @property
    def cnf(self) -> dict[str, str] | None:
        """Return the `cnf` claim."""
        if self.jkt is None and self.x5t_s256 is None:
            return None
        found = {THUMBPRINT: self.jkt, CERTIFICATE: self.x5t_s256}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def token_type(self) -> str:
        """Return `token_type` of the token response (RFC 6749 7.1, RFC 9449 5)."""
        return "Bearer" if self.jkt is None else "DPoP"


NO_HOLDER = Holder()


def of(cnf: Mapping[str, Any] | None) -> Holder:
    """Return whom a token of this `cnf` claim is for."""
    return NO_HOLDER if cnf is None else Holder(cnf.get(THUMBPRINT), cnf.get(CERTIFICATE))


def token_type(cnf: Mapping[str, Any] | None) -> str:
    """Return the scheme by which a token of this `cnf` claim is presented."""
    return "DPoP" if cnf and THUMBPRINT in cnf else "Bearer"
