"""How the Authorization Center describes itself: its envelope and codes in OpenAPI."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from idp.api.center.codes import Code
from idp.api.center.texts import DESCRIPTION, MODULES, TEXTS, TITLE
from idp.api.dialect import Operation
from idp.api.openapi import Schema, nullable
from idp.api.texts import OUTCOME, Text

VERSION = "1.0"
PREFIX = "/api"

_HEAD: Schema = {
    "code": {"type": "integer", "format": "int32", "default": 200},
    "codeName": {"type": "string", "default": "Status200OK"},
    "message": {"type": ["string", "null"]},
}


_COUNTS: Schema = {
    name: {"type": "integer", "format": "int32", "default": 0} for name in ("take", "skip", "total")
}


class CenterWording:
    """The envelope `code`, `codeName`, `message`, `data`."""

    title = TITLE
    description = DESCRIPTION
    version = VERSION
    prefix = PREFIX
    modules: Mapping[str, Text] = MODULES
    texts = TEXTS

    def name(self, operation: Operation) -> str:
        """Return the operation's id."""
        return operation.id

    def components(self) -> dict[str, Schema]:
        """Return the schemas of the envelopes."""
        return {
            "ApiResultBase": {
                "type": "object",
                "required": ["code", "codeName"],
                "properties": _HEAD,
            },
            "PagingResultBase": {
                "type": "object",
                "required": ["code", "codeName", "take", "skip", "total"],
                "properties": {**_COUNTS, **_HEAD},
            },
        }

    def envelope(self, operation: Operation, data: Schema, name: str) -> tuple[str, Schema] | None:
        """Put data into the envelope; a refusal has null there, or no rows."""
        if operation.form in {"bare", "number"}:
            return None
        kind = "PagingResult" if operation.form == "list" else "ApiResult"
        content = {**data, "default": []} if operation.form == "list" else nullable(data)
        base = {"$ref": f"#/components/schemas/{kind}Base"}
        properties = {"type": "object", "properties": {"data": content}}
        return f"{kind}_{name}", {"allOf": [base, properties]}

    def outcome(self, operation: Operation) -> Text:
        """Return the text about the outcome of an answer."""
        del operation
        return OUTCOME

    def statuses(self, operation: Operation) -> Collection[str]:
        """Return none: other refusals are in the envelope."""
        del operation
        return ()

    def enveloped_refusals(self) -> None:
        """Return None: a refusal by HTTP status has no envelope."""

    def has_enveloped_refusals(self, operation: Operation) -> bool:
        """Return False: a refusal by HTTP status has no envelope."""
        del operation
        return False

    def codes(self, operation: Operation) -> list[dict[str, Any]]:
        """List success, the codes of every operation, and the operation's own."""
        if operation.form in {"bare", "number"}:
            return []
        names = ["Status200OK"]
        if operation.body or operation.query or operation.upload:
            names.append("UnprocessableEntity")
        names += [*operation.errors, "ExpectationFailed"]
        return [{"code": Code[name].number, "name": name} for name in dict.fromkeys(names)]
