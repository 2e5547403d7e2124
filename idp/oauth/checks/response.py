"""How authorization responses may be asked for."""

from __future__ import annotations

RESPONSE_TYPES = ("code",)
RESPONSE_MODES = ("query", "fragment", "form_post")
