"""Where descriptions come from: an address that a caller names, or our own documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from idp.platform.errors import BadRequest, Unavailable
from idp.platform.fetch import Fetcher
from idp.publishing import slots
from idp.publishing.descriptions import parsing
from idp.publishing.descriptions.flaws import Flaw, UnusableError

SECONDS = 20.0

EXTENSION = "idp.descriptions"
"""Where the application keeps its `OwnDescriptions`."""

OwnDescriptions = Mapping[str, Callable[[str], bytes]]
"""Paths of our own descriptions with functions that write them for an issuer's address.

This server sends itself no request for them.
"""


def fetch(fetcher: Fetcher, url: str, issuer_url: str, own: OwnDescriptions) -> dict[str, Any]:
    """Return the description at an address, which may be one of our own."""
    write = own.get(url.removeprefix(issuer_url)) if url.startswith(issuer_url) else None
    return download(fetcher, url) if write is None else parsing.read(write(issuer_url))


def download(fetcher: Fetcher, url: str) -> dict[str, Any]:
    """Return the description at an address; BadRequest where nothing may be fetched from it."""
    with slots.taken():
        return parsing.read(_get(fetcher, url))


def _get(fetcher: Fetcher, url: str) -> bytes:
    try:
        return fetcher.get(url, max_bytes=parsing.MAX_BYTES, timeout=SECONDS)
    except BadRequest as problem:
        raise BadRequest.at("swagger_url", problem.detail) from None
    except Unavailable as problem:
        raise UnusableError(Flaw.NOT_FETCHED, debug=problem.debug) from None
