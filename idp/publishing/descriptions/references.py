"""The objects of a description: which refer outside of it, and the targets of references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_NAMES = (
    *("$ref", "operationRef", "$dynamicRef", "$recursiveRef"),
    # An identifier of its own changes the base of local references.
    *("$id", "externalValue"),
)
_DIALECTS = re.compile(
    r"https?://json-schema\.org/draft(?:-0[4-7]|/20(?:19-09|20-12))/schema#?"
    r"|https://spec\.openapis\.org/oas/3\.[012]/dialect/[a-z0-9-]+"
)
_HOLDS = ("$ref", "$defs", "definitions", "properties", "items")
_LISTS = ("allOf", "anyOf", "oneOf")
_MARKS = ("/", ":", ".json", ".y")
"""Characters of an address or a path that the name of a schema does not have."""
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
"""An index of a list (RFC 6901)."""
_STEPS = 8
"""References that are followed in a chain."""


def objects(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """List the objects of a document, itself included."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            yield value


def leading_outside(part: dict[str, Any]) -> str | None:
    """Return the external reference of an object; None: it has none."""
    for name in _NAMES:
        target = part.get(name)
        if isinstance(target, str) and not target.startswith("#"):
            return target
    for name in ("$schema", "jsonSchemaDialect"):
        target = part.get(name)
        if isinstance(target, str) and not _DIALECTS.fullmatch(target):
            return target
    return _identifier(part) or _mapping(part.get("discriminator"))


def resolve(document: dict[str, Any], value: Any) -> Any:
    """Resolve a chain of local references; None where the target is missing."""
    for _ in range(_STEPS):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            return value
        value = find(document, value["$ref"])
    return None


def find(document: dict[str, Any], pointer: str) -> Any:
    """Return the target of a local JSON pointer (RFC 6901); None: it is missing."""
    found: Any = document
    for step in pointer.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            # In a reference a path may also be percent-encoded.
            found = found.get(name, found.get(name.replace("%7B", "{").replace("%7D", "}")))
        elif isinstance(found, list) and _INDEX.fullmatch(name):
            found = found[int(name)] if int(name) < len(found) else None
        else:
            return None
    return found


def _identifier(part: dict[str, Any]) -> str | None:
    """Return an `id` that refers outside; before 2017 it was what `$id` is today."""
    target = part.get("id")
    # Outside of schemas it is a value like any other.
    is_schema = any(isinstance(part.get(word), str | dict) for word in _HOLDS)
    is_schema = is_schema or any(isinstance(part.get(word), list) for word in _LISTS)
    if is_schema and isinstance(target, str) and re.match(r"[^#]*[/:\\]", target):
        return target
    return None


def _mapping(discriminator: Any) -> str | None:
    """Return a value of a mapping that is a file or an address instead of a name of a schema."""
    mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
    for target in mapping.values() if isinstance(mapping, dict) else ():
        if not isinstance(target, str) or target.startswith("#"):
            continue
        if any(mark in target for mark in _MARKS):
            return target
    return None
