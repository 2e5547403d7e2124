"""The marker of sentences that pages translate."""

from __future__ import annotations


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools find it
    """Return a sentence unchanged; `make translations` puts it into the catalogues."""
    return text
