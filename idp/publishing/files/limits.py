"""How large uploads may be; known before anything that takes them is imported."""

from __future__ import annotations

from idp.platform.web.uploads import OVERHEAD
from idp.publishing.files import kinds

FILES = "/files/"
"""Beginning of the addresses at which files are served."""
PICTURE = "/account/picture"
"""Where people set their own picture."""
UPLOADS = {
    prefix + path: kinds.VIDEO + OVERHEAD
    for prefix in ("", "/api")
    for path in ("/File", "/File/Image")
} | {PICTURE: kinds.IMAGE + OVERHEAD}
"""Address → bytes that a request may have there.

One limit for all, so that a file that is too large for its own address is told why.
"""
