"""Proof Key for Code Exchange (RFC 7636), S256 only."""

from __future__ import annotations

import hashlib
import hmac
import re

from idp.oauth.request import Parameters
from idp.platform.errors import InvalidGrant, OAuthError
from idp.platform.secrets import b64url

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


def read_challenge(parameters: Parameters, *, required: bool) -> str | None:
    """Read the challenge of an authorization request; `plain` and malformed ones are refused."""
    challenge = parameters.get("code_challenge")
    method = parameters.get("code_challenge_method")
    if challenge is None:
        if required or method is not None:
            message = "Missing parameter: code_challenge"
            raise OAuthError(message)
        return None
    # RFC 7636 4.3: no method means `plain`, which RFC 9700 2.1.1 rules out.
    if method != "S256":
        message = "code_challenge_method must be S256"
        raise OAuthError(message)
    if not CHALLENGE.fullmatch(challenge):
        message = "code_challenge must be the base64url form of a SHA-256 digest"
        raise OAuthError(message)
    return challenge


def prove(challenge: str | None, verifier: str | None) -> None:
    """Compare a verifier with the challenge of its code (RFC 7636 4.6)."""
    if challenge is None:
        if verifier is not None:
            # RFC 9700 4.8.2: a verifier without a challenge is a downgrade attack.
            message = "code_verifier was sent, but the code has no code_challenge"
            raise InvalidGrant(message)
        return
    if verifier is None:
        message = "Missing parameter: code_verifier"
        raise InvalidGrant(message)
    if not VERIFIER.fullmatch(verifier):
        message = "code_verifier is malformed"
        raise InvalidGrant(message)
    if not hmac.compare_digest(b64url(hashlib.sha256(verifier.encode()).digest()), challenge):
        message = "code_verifier does not fit the code_challenge"
        raise InvalidGrant(message)
