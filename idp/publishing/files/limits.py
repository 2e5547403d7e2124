"""How large uploads may be; known before anything that takes them is imported."""

from __future__ import annotations

from idp.platform.web.uploads import OVERHEAD
from idp.publishing.files import kinds

UPLOADS = {
    prefix + path: kinds.VIDEO + OVERHEAD
    for prefix in ("", "/api")
    for path in ("/File", "/File/Image")
}
"""Address → bytes that a request may have there.

One limit for all, so that a file that is too large for its own address is told why.
"""
