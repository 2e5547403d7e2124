"""A standalone OAuth 2.0 and OpenID Connect identity provider."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the factory when it is asked for: `import idp` itself stays cheap."""
    if name == "create_app":
        from idp.app import create_app  # noqa: PLC0415

        return create_app
    raise AttributeError(name)
