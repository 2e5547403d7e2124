"""What a caller would like to read (RFC 9110 12.5.1)."""

from __future__ import annotations

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

LONGEST = 2000
JSON = "application/json"
HTML = "text/html"


def prefers(header: str, kind: str, other: str = JSON) -> bool:
    """Whether a caller names a media type and likes no other of ours better.

    A wildcard is no name: programs send `*/*` who take what everybody gets.
    """
    if kind not in header.lower() or len(header) > LONGEST:
        return False
    accept = parse_accept_header(header, MIMEAccept)
    named = [quality for item, quality in accept if item.partition(";")[0].strip().lower() == kind]
    return bool(named) and max(named) > 0 and max(named) >= accept.quality(other)
