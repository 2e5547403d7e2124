"""Claims as JSON, in pieces that a page colours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?')
"""A string of JSON. The end is optional so that no text is read twice."""


class Piece(NamedTuple):
    """A part of the text."""

    text: str
    kind: str
    """`key`, `text`, or nothing."""


def pieces(claims: Mapping[str, Any]) -> Iterator[Piece]:
    """Write claims over several lines; letters that cannot be seen are written as escapes."""
    text = "".join(map(_visible, json.dumps(claims, indent=2, ensure_ascii=False)))
    at = 0
    for found in STRING.finditer(text):
        if text[at : found.start()]:
            yield Piece(text[at : found.start()], "")
        yield Piece(found[0], "key" if text.startswith(":", found.end()) else "text")
        at = found.end()
    yield Piece(text[at:], "")


def short(value: object) -> str:
    """Write a value on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
