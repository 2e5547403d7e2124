"""DPoP: requests prove that their sender holds a key (RFC 9449)."""

from __future__ import annotations

HEADER = "DPoP"
NONCE_HEADER = "DPoP-Nonce"
