"""How our own API describes itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from idp.api.admin.dialect import CHANGES, PREFIX
from idp.api.admin.texts import DESCRIPTION, MODULES, TEXTS, TITLE
from idp.api.dialect import Operation
from idp.api.openapi import PROBLEM_SCHEMA, Schema
from idp.api.texts import PAGE, Text


class AdminWording:
    """No envelope; pages have `items` and `next`."""

    title = TITLE
    description = DESCRIPTION
    version = "1.0"
    prefix = PREFIX
    modules: Mapping[str, Text] = MODULES
    texts = TEXTS

    def name(self, operation: Operation) -> str:
        """Return the operation's id."""
        return operation.id

    def components(self) -> dict[str, Schema]:
        """Return the schema of refusals, whose invalid fields stand in `fields`."""
        members = dict(PROBLEM_SCHEMA["properties"])
        members["fields"] = members.pop("errors")
        return {"Problem": {**PROBLEM_SCHEMA, "properties": members}}

    def envelope(self, operation: Operation, data: Schema, name: str) -> tuple[str, Schema] | None:
        """Put rows into a page."""
        if operation.form != "page":
            return None
        return f"{name}Page", {
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": {"type": "array", "items": data},
                "next": {"type": ["string", "null"]},
            },
        }

    def outcome(self, operation: Operation) -> Text:
        """Return the description of a page."""
        del operation
        return PAGE

    def statuses(self, operation: Operation) -> Collection[str]:
        """Return the statuses of rules and preconditions, where something is changed."""
        if operation.method == "GET":
            return ()
        return ("409", "412", "422", "428") if operation.method in CHANGES else ("409", "422")

    def enveloped_refusals(self) -> None:
        """Return None: a refusal has no envelope."""

    def has_enveloped_refusals(self, operation: Operation) -> bool:
        """Return False: a refusal has no envelope."""
        del operation
        return False

    def codes(self, operation: Operation) -> list[dict[str, Any]]:
        """Return no codes: the HTTP status tells the outcome."""
        del operation
        return []
