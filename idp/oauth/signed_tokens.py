"""What access tokens and ID tokens have in common: their size, and how the person signed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from idp.claims import access
from idp.oauth.grant_state import HeldGrant
from idp.platform.errors import OAuthError
from idp.platform.signing.signer import Keys

MAX_TOKEN_LENGTH = 16_384


def sign_within(
    keys: Keys, within: Callable[[int], dict[str, Any]], *, alg: str | None, typ: str
) -> str:
    """Sign claims within the budget, or without all that it is for: what we issue, we can read."""
    for budget in (access.BUDGET_BYTES, 0):
        token = keys.sign(within(budget), alg=alg, typ=typ)
        if len(token) <= MAX_TOKEN_LENGTH:
            return token
    message = "The token would be too large; ask for fewer scopes"
    raise OAuthError(message, code="invalid_scope")


def authentication(grant: HeldGrant) -> dict[str, Any]:
    """Return when and how the person signed in (OpenID Connect Core 2)."""
    return {
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": grant.acr,
        "amr": grant.amr,
        "sid": grant.sid,
    }
