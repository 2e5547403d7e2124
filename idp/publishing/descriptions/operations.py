"""The operations of a description, and its texts about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""In the order of the specification, in which the operations of a path are listed."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a description."""

    method: str
    path: str
    content: dict[str, Any]

    @property
    def id(self) -> str:
        """The operationId, or method and path."""
        return self._text("operationId") or f"{self.method}{self.path}"

    @property
    def summary(self) -> str:
        """The summary, or the id."""
        return self._text("summary") or self.id

    @property
    def description(self) -> str:
        """The longer text."""
        return self._text("description")

    @property
    def tag(self) -> str:
        """The first tag."""
        tags = self.content.get("tags")
        return str(tags[0]) if isinstance(tags, list) and tags else ""

    @property
    def scope(self) -> str:
        """The scope that a client needs, where the description names it."""
        return self._text("x-client-scope")

    @property
    def permission(self) -> str:
        """The permission that a person needs, where the description names it."""
        return self._text("x-user-permission")

    def _text(self, name: str) -> str:
        return _text(self.content, name)


def of(document: dict[str, Any]) -> Iterator[Operation]:
    """List the operations of a description."""
    # OpenAPI 3.1 may have webhooks and no paths.
    for path, item in document.get("paths", {}).items():
        if isinstance(item, dict):
            for method in METHODS:
                if isinstance(item.get(method), dict):
                    yield Operation(method, path, item[method])


def info(document: dict[str, Any], name: str) -> str:
    """Return a text of the description about itself."""
    about = document.get("info")
    return _text(about, name) if isinstance(about, dict) else ""


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
