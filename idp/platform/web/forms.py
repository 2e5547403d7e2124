"""Query strings and form bodies as pairs, read strictly; and what JSON bodies may look like."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled
from idp.platform.web.visit import Pairs

MAX_FIELDS = 1000
MAX_JSON_DEPTH = 64

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# A text that is never closed is one token up to the end: it is not looked for again from within.
_JSON_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
_JSON_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def parse(encoded: str) -> Pairs:
    """Read `application/x-www-form-urlencoded` text; anything malformed is refused."""
    if not encoded:
        return ()
    if encoded.count("&") >= MAX_FIELDS:
        raise too_many()
    pieces = [piece.partition("=") for piece in encoded.split("&") if piece]
    if _needs_decoding(encoded):
        return tuple([(decode(name), decode(value)) for name, _, value in pieces])
    return tuple([(name, value) for name, _, value in pieces])


def _needs_decoding(text: str) -> bool:
    return "%" in text or "+" in text or "\0" in text or not text.isascii()


def decode(text: str) -> str:
    """Undo the form encoding of a name or a value."""
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text and text.isascii():
        if "\0" in text:
            raise _nul()
        return text
    if _BROKEN_ESCAPE.search(text):
        message = N_("Malformed percent-encoding")
        raise BadRequest(message)
    return decode_bytes(unquote_to_bytes(text.encode("latin-1")))


def decode_bytes(raw: bytes) -> str:
    """Read UTF-8; NUL is refused because no database column takes it."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        message = N_("Text is not valid UTF-8")
        raise BadRequest(message) from None
    if "\0" in text:
        raise _nul()
    return text


def check_json(body: bytes, deepest: int = MAX_JSON_DEPTH) -> None:
    """Refuse JSON that is nested too deeply or holds NUL characters, before it is parsed."""
    if b"\\u0000" in body and _JSON_NUL.search(body):
        raise _nul()
    if body.count(b"[") + body.count(b"{") <= deepest:
        return
    depth = 0
    for token in _JSON_TOKEN.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > deepest:
                message = f"JSON is nested more than {deepest} levels deep"
                raise BadRequest(message)
        elif first in b"]}":
            depth -= 1


def too_many() -> BadRequest:
    """Refuse more parameters than any request of ours needs."""
    return BadRequest(filled(N_("More than %(most)s parameters"), most=MAX_FIELDS))


def _nul() -> BadRequest:
    return BadRequest(N_("Text holds a NUL character"))
