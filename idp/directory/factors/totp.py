"""Time-based one-time passwords (RFC 6238) as authenticator apps compute them."""

from __future__ import annotations

import base64
import hmac
import secrets
import struct
from urllib.parse import quote, urlencode

SECRET_BYTES = 20
"""RFC 4226 4: the length of the hash."""
DIGITS = 6
STEP_SECONDS = 30
DRIFT = 1
"""Steps before and after the present one whose codes are accepted (RFC 6238 5.2)."""


def new_secret() -> bytes:
    """Make a shared secret."""
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a time step (RFC 4226 5.3)."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    (number,) = struct.unpack(">I", digest[offset : offset + 4])
    return f"{(number & 0x7FFF_FFFF) % 10**DIGITS:0{DIGITS}}"


def step_at(timestamp: int) -> int:
    """Return the time step of a point in time, in seconds since 1970."""
    return timestamp // STEP_SECONDS


def find_step(secret: bytes, code: str, timestamp: int) -> int | None:
    """Return the time step that a code is of, near a point in time; None for a wrong code."""
    now = step_at(timestamp)
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):
        # Each is compared, so that the time taken does not tell which one is right.
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            found = step
    return found


def as_text(secret: bytes) -> str:
    """Write a secret in Base32, as people type it into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Return the address that an authenticator app reads from a QR code."""
    issuer = issuer.replace(":", " ")  # separates issuer and account
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    query = urlencode({"secret": as_text(secret), "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{label}?{query}"
