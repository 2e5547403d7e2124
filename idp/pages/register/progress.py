"""How far a visitor has come with the registration, kept in the signed form cookie.

The cookie names the addresses and the key that their proofs are kept with; whether a proof holds
is decided by the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import session

from idp.account.registration import MINUTES
from idp.platform import clock
from idp.platform.secrets import random_token

COOKIE_KEY = "register"
KINDS = ("mobile", "email")
"""The addresses to prove, in this order."""


@dataclass(slots=True)
class Progress:
    """The addresses of a visitor, and those of them that are proven."""

    key: str = field(default_factory=random_token)
    until: int = field(default_factory=lambda: int(clock.now().timestamp()) + MINUTES * 60)
    addresses: dict[str, str] = field(default_factory=dict)
    proven: list[str] = field(default_factory=list)

    def set_address(self, kind: str, address: str) -> None:
        """Note an address to which a code was sent."""
        self.addresses[kind] = address
        self.proven = [other for other in self.proven if other != kind]
        self.save()

    def set_proven(self, kind: str) -> None:
        """Note that an address is proven."""
        self.proven = [*self.proven, kind]
        self.save()

    def next_kind(self) -> str | None:
        """Return the address to prove next; None when all are proven."""
        return next((kind for kind in KINDS if kind not in self.proven), None)

    def save(self) -> None:
        """Store the progress in the browser."""
        session[COOKIE_KEY] = {
            "key": self.key,
            "until": self.until,
            "addresses": self.addresses,
            "proven": self.proven,
        }


def load() -> Progress:
    """Return the progress of the visitor; a new one when there is none or it has expired."""
    kept: dict[str, Any] = session.get(COOKIE_KEY) or {}
    if kept.get("until", 0) < clock.now().timestamp():
        forget()
        return Progress()
    return Progress(**kept)


def forget() -> None:
    """Remove the progress from the browser."""
    session.pop(COOKIE_KEY, None)
