"""Where answers may be sent."""

from __future__ import annotations

import re
from collections.abc import Collection

from idp.directory.clients.addresses import is_port

LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([^/]*))?((?:/[^\s]*)?)")


def is_registered(requested: str, registered: Collection[str], *, native: bool) -> bool:
    """Whether an address is one of the registered ones, character by character.

    RFC 9700 2.1: no prefix, pattern or normalisation. Only the port of a native client's loopback
    address may differ (RFC 8252 7.3); `localhost` is one, as today's tools have it.
    """
    if requested in registered:
        return True
    if not native:
        return False
    loopback = LOOPBACK.fullmatch(requested)
    if loopback is None or (loopback[2] is not None and not is_port(loopback[2])):
        return False
    return any(
        (known := LOOPBACK.fullmatch(uri)) is not None and known.group(1, 3) == loopback.group(1, 3)
        for uri in registered
    )
