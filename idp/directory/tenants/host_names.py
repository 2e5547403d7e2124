"""What the text of a host says by itself."""

from __future__ import annotations

import ipaddress


def name_of(host: str) -> str:
    """Return a host without its port."""
    return host.rpartition(":")[0] or host if not host.endswith("]") else host


def is_local(host: str) -> bool:
    """Return whether a host is an address literal, or names the machine itself (RFC 6761 6.3)."""
    name = name_of(host).strip("[]")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return True
