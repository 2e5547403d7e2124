"""How two addresses are compared: `htu` of a proof and that of the request (RFC 9449 4.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes, urlsplit

_PRINTABLE = re.compile(r"[\x21-\x7e]{1,4096}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_one_of(htu: str, addresses: Iterable[str]) -> bool:
    """Return whether an address is one of several, without query and fragment.

    RFC 3986 6.2: letters of scheme and host may be capital, the default port may be there, and
    characters may be escaped that need not be.
    """
    written = tuple(addresses)
    if htu in written:
        return True
    normal = _normal(htu)
    return normal is not None and normal in map(_normal, written)


def _normal(address: str) -> str | None:
    """Write an address in its one form; None for what is none."""
    if not _PRINTABLE.fullmatch(address):
        return None
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in {None, default} else f":{port}"
    segments = (parts.path or "/").split("/")
    path = "/".join(quote(unquote_to_bytes(segment), safe="") for segment in segments)
    return f"{parts.scheme}://{host}{suffix}{path}"
