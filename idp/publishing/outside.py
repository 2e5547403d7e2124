"""What is dangerous about API descriptions: words that lead out of them, and how much they hold."""

from __future__ import annotations

import re
from typing import Any

_NAMES = (
    *("$ref", "operationRef", "$dynamicRef", "$recursiveRef"),
    # An identifier of its own moves what local references are relative to.
    *("$id", "externalValue"),
)
_DIALECTS = re.compile(
    r"https?://json-schema\.org/draft(?:-0[4-7]|/20(?:19-09|20-12))/schema#?"
    r"|https://spec\.openapis\.org/oas/3\.[012]/dialect/[a-z0-9-]+"
)
MOST_PARTS = 1_000_000
_HOLDS = ("$ref", "$defs", "definitions", "properties", "items")
_LISTS = ("allOf", "anyOf", "oneOf")


def has_too_many_parts(raw: bytes) -> bool:
    """Whether JSON may have more than a million values, before it is read.

    A value of three bytes takes twenty times as much memory. Commas and brackets inside text count
    as well; a description has few for its length.
    """
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MOST_PARTS


def leading(value: dict[str, Any]) -> tuple[str, str] | None:
    """Give the first word of an object that leads outside, and where it leads; None: nowhere."""
    for name in _NAMES:
        target = value.get(name)
        if isinstance(target, str) and not target.startswith("#"):
            return name, target
    for name in ("$schema", "jsonSchemaDialect"):
        target = value.get(name)
        if isinstance(target, str) and not _DIALECTS.fullmatch(target):
            return name, target
    target = value.get("id")
    # `id` is what `$id` was before 2017; elsewhere it is a value like any other.
    is_schema = any(isinstance(value.get(word), str | dict) for word in _HOLDS)
    is_schema = is_schema or any(isinstance(value.get(word), list) for word in _LISTS)
    if is_schema and isinstance(target, str) and re.match(r"[^#]*[/:\\]", target):
        return "id", target
    return None
