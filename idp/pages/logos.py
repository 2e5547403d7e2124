"""Pictures of applications that nobody registered: never loaded from their servers by browsers."""

from __future__ import annotations

from idp.platform.documents import Wanted
from idp.platform.errors import BadRequest
from idp.platform.fetch import Fetched
from idp.publishing.files import images

MAX_BYTES = 64 * 1024
TYPES = ("image/png", "image/jpeg", "image/webp")
HEADERS = {
    "Content-Type": "image/png",
    "Cache-Control": "private, max-age=300",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def _read(_url: str, fetched: Fetched) -> bytes:
    if fetched.content_type not in TYPES:
        message = "The address did not give a picture"
        raise BadRequest(message, debug="not a picture by its type")
    return images.icon(fetched.body)


WANTED = Wanted("logo", ", ".join(TYPES), MAX_BYTES, _read)
