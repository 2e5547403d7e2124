"""How large uploads may be; a module of its own, which is imported early."""

from __future__ import annotations

from idp.platform.web.uploads import OVERHEAD
from idp.publishing.files import kinds

FILES = "/files/"
"""Prefix of the paths at which files are served."""
PICTURE = "/account/picture"
"""Where people set their own picture."""
UPLOADS = {
    prefix + path: kinds.VIDEO + OVERHEAD
    for prefix in ("", "/api")
    for path in ("/File", "/File/Image")
} | {PICTURE: kinds.IMAGE + OVERHEAD}
"""Address → bytes that a request may have there.

One limit for all, so that a file that is too large for its address gets a clear refusal.
"""
