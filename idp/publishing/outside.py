"""Words of an API description that lead out of it: readers and generators would follow them."""

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
_HOLDS = ("$ref", "$defs", "definitions", "properties", "items")
_LISTS = ("allOf", "anyOf", "oneOf")


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
