"""What answers say to browsers about pages of other origins (the CORS protocol of Fetch).

Cookies never count: calls from other origins carry a token.
"""

from __future__ import annotations

import re

from idp.platform.web.visit import Answer

EXPOSED = (
    "DPoP-Nonce, ETag, Idempotent-Replayed, Link, Location, Retry-After, WWW-Authenticate, "
    "X-Request-Id"
)
ANYBODY = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED))
"""On what is public, and on refusals that come before the client is known."""

USUAL = "Authorization, Content-Type, DPoP"
"""Headers that clients send; what a preflight asks for beyond them is allowed as well."""

_LONGEST = 1000
_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_NAMES = re.compile(rf"{_NAME}(?:, ?{_NAME})*")


def for_anybody(answer: Answer) -> Answer:
    """Allow pages of any origin to read an answer."""
    return Answer(answer.status, answer.headers + ANYBODY, answer.body)


def for_origin(answer: Answer, origin: str | None) -> Answer:
    """Allow pages of one origin to read an answer, or of none; caches keep one for each origin."""
    headers = (*answer.headers, ("Vary", "Origin"))
    if origin is not None:
        headers += (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", EXPOSED),
        )
    return Answer(answer.status, headers, answer.body)


def preflight(methods: str, requested: str | None) -> tuple[tuple[str, str], ...]:
    """Allow methods, and the headers that the page wants to send.

    `*` would not cover `Authorization`, and a list of our own is outdated by the next client.
    """
    is_list = requested is not None and len(requested) <= _LONGEST and _NAMES.fullmatch(requested)
    return (
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", requested if requested and is_list else USUAL),
        ("Access-Control-Max-Age", "600"),
    )
