"""Where calls may go: only to addresses that the operator lists for a tenant."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})*", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
_PORTS = {"http": 80, "https": 443}
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Address:
    """An address that calls go to: scheme, host, port, and a path before theirs."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """Read an address; None if it is ambiguous."""
        if len(url) > _LONGEST:
            return None
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        host = parts.hostname or ""
        path = parts.path.rstrip("/")
        is_plain = "@" not in url and "?" not in url and "#" not in url and url.isprintable()
        if parts.scheme not in _PORTS or not is_plain or port == 0:
            return None
        if not _is_host(host) or not _PATH.fullmatch(path):
            return None
        if any(step in {".", ".."} for step in path.split("/")):
            return None
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], path)

    @property
    def dial(self) -> str:
        """Host and port of the connection."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address in its normal form."""
        standard = self.port == _PORTS[self.scheme]
        origin = self.dial.removesuffix(f":{self.port}") if standard else self.dial
        return f"{self.scheme}://{origin}{self.path}"

    @property
    def key(self) -> str:
        """A key that identifies the address to a gateway without disclosing it."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def covers(self, other: Address) -> bool:
        """Return whether another address is this one, or a path below it."""
        same = (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)
        return same and (other.path + "/").startswith(self.path + "/")


def choose(candidates: Iterable[str], allowed: Iterable[str]) -> Address | None:
    """Return the first candidate that the list covers."""
    entries = [entry for entry in map(Address.parse, allowed) if entry is not None]
    for candidate in map(Address.parse, candidates):
        if candidate is not None and any(entry.covers(candidate) for entry in entries):
            return candidate
    return None


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A last label of digits is read as an IPv4 address by some programs only.
        return bool(_HOST.fullmatch(host)) and not host.rpartition(".")[2].isdigit()
    return True
