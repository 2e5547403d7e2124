"""How authorization responses may be asked for."""

from __future__ import annotations

from idp.directory.product import PLAIN_MODES, SIGNED_MODES

RESPONSE_TYPES = ("code",)
RESPONSE_MODES = (*PLAIN_MODES, *SIGNED_MODES)
DEFAULT_MODE = "query"
"""Of codes (OAuth 2.0 Multiple Response Types 2.1)."""
