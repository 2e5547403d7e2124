"""The key that a code is asked for: `dpop_jkt` (RFC 9449 10)."""

from __future__ import annotations

import re

from idp.oauth.request import Parameters
from idp.platform.errors import OAuthError

_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")


def read(parameters: Parameters) -> str | None:
    """Return the thumbprint that a request names, if any."""
    given = parameters.get("dpop_jkt")
    if given is not None and not _SHA256.fullmatch(given):
        message = "dpop_jkt must be the SHA-256 thumbprint of a key"
        raise OAuthError(message)
    return given
