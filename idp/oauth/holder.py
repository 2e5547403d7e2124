"""Whom an access token is for: anybody who has it, or the holder of a key (RFC 7800)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

THUMBPRINT = "jkt"
"""Member of `cnf` that names a key by its thumbprint (RFC 9449 6.1)."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The key that the sender of a token must prove to hold; none: whoever has it may use it."""

    jkt: str | None = None
    """Thumbprint of the key of DPoP proofs."""

    @property
    def cnf(self) -> dict[str, str] | None:
        """Return the `cnf` claim."""
        return None if self.jkt is None else {THUMBPRINT: self.jkt}

    @property
    def token_type(self) -> str:
        """Return `token_type` of the token response (RFC 6749 7.1, RFC 9449 5)."""
        return token_type(self.cnf)


NO_HOLDER = Holder()


def of(cnf: Mapping[str, Any] | None) -> Holder:
    """Return whom a token of this `cnf` claim is for."""
    return NO_HOLDER if cnf is None else Holder(jkt=cnf.get(THUMBPRINT))


def token_type(cnf: Mapping[str, Any] | None) -> str:
    """Return the scheme by which a token of this `cnf` claim is presented."""
    return "DPoP" if cnf and THUMBPRINT in cnf else "Bearer"
