"""Addresses that a page may redirect to: local paths only."""

from __future__ import annotations

import re

MAX_LENGTH = 500

# An allow-list, not a search for bad input. Browsers turn `\` into `/`, drop tabs and line feeds,
# and read `//host` as another site; none of these characters can be written in this grammar, nor
# any percent-encoding in the path that a proxy on the way might decode.
_SEGMENT = r"[A-Za-z0-9_~-]+(?:\.[A-Za-z0-9_~-]+)*"
_PATH = rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*)?"
_QUERY = r"[A-Za-z0-9_.~=&-]*"
_LOCAL = re.compile(rf"{_PATH}(?:\?{_QUERY})?", re.ASCII)


def parse(text: str | None) -> str | None:
    """Return a local path (with query) unchanged, and None for anything else."""
    if not text or len(text) > MAX_LENGTH or not _LOCAL.fullmatch(text):
        return None
    return text
