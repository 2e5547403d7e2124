"""Ask the caller of an API for a higher level of sign-in, or a younger one (RFC 9470)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

LEVELS = ["pwd", "mfa", "phr"]


def challenge(claims: Mapping[str, Any], acr: str, max_age: int | None = None) -> str | None:
    """Return the `WWW-Authenticate` of a 401 for a verified token; None: it is good enough.

    Tokens of machines have no level: their scopes decide.
    """
    if "auth_time" not in claims:
        return None
    level = claims.get("acr")
    is_high = level in LEVELS and LEVELS.index(level) >= LEVELS.index(acr)
    is_young = max_age is None or time.time() - claims["auth_time"] <= max_age
    if is_high and is_young:
        return None
    wanted = f'acr_values="{acr}"' if max_age is None else f'acr_values="{acr}", max_age={max_age}'
    return f'Bearer error="insufficient_user_authentication", {wanted}'
