"""How the user service describes itself: both versions, their envelope and its codes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from idp.api.dialect import Dialect, Operation
from idp.api.openapi import Schema, nullable
from idp.api.texts import OUTCOME, PAGE, Text
from idp.api.userservice.codes import Code
from idp.api.userservice.dialect import PREFIX, SECOND, versions
from idp.api.userservice.texts import DESCRIPTION, MODULES, TEXTS, TITLE

VERSION = "1.0"

_PAGE = {
    "counts": ("integer", "int64"),
    "first": ("boolean", ""),
    "itemsSize": ("integer", "int32"),
    "page": ("integer", "int32"),
    "pageSize": ("integer", "int32"),
    "pages": ("integer", "int32"),
}
_ENVELOPE = {
    "code": ("integer", "int32"),
    "isError": ("boolean", ""),
    "isSuccess": ("boolean", ""),
    "msg": ("string", ""),
    "path": ("string", ""),
    "timestamp": ("integer", "int64"),
}


class UserServiceWording:
    """V1 without an envelope, V2 with `R`."""

    title = TITLE
    description = DESCRIPTION
    version = VERSION
    prefix = PREFIX
    modules: Mapping[str, Text] = {
        **MODULES,
        **{
            f"{name}-{SECOND.lower()}": Text(f"{text.en} (V2.0)", f"{text.zh}V2.0")
            for name, text in MODULES.items()
        },
    }
    texts = TEXTS

    def name(self, operation: Operation) -> str:
        """Return the id that both versions share."""
        return operation.id.removesuffix(SECOND)

    def components(self) -> dict[str, Schema]:
        """Return the schemas of pages and of the envelope of V2."""
        extra: Schema = {"type": "object", "additionalProperties": True}
        return {
            "PageVO": {"type": "object", "properties": _members(_PAGE)},
            "R": {"type": "object", "properties": {**_members(_ENVELOPE), "extra": extra}},
        }

    def envelope(self, operation: Operation, data: Schema, name: str) -> tuple[str, Schema] | None:
        """Put rows into a page, and an answer of V2 into `R`; a refusal has null there."""
        if operation.form == "page":
            held = {"type": "object", "properties": {"items": {"type": "array", "items": data}}}
            data = {"allOf": [{"$ref": "#/components/schemas/PageVO"}, held]}
            name = f"PageVO{name}"
        if operation.id.endswith(SECOND):
            held = {"type": "object", "properties": {"data": nullable(data)}}
            form = "List" if operation.form == "list" else ""
            return f"R{form}{name}", {"allOf": [{"$ref": "#/components/schemas/R"}, held]}
        return (name, data) if operation.form == "page" else None

    def outcome(self, operation: Operation) -> Text:
        """Return the text about the outcome of an answer; a page of V1 has no code."""
        return OUTCOME if operation.id.endswith(SECOND) else PAGE

    def statuses(self, operation: Operation) -> Collection[str]:
        """Return 404, and 409 for what V1 refuses by a rule."""
        changes = operation.method != "GET" and not operation.id.endswith(SECOND)
        return ("404", "409") if changes else ("404",)

    def enveloped_refusals(self) -> tuple[str, Schema]:
        """Return the envelope of V2, which refusals have as well."""
        return "R", {"$ref": "#/components/schemas/R"}

    def has_enveloped_refusals(self, operation: Operation) -> bool:
        """Return whether an operation is one of V2."""
        return operation.id.endswith(SECOND)

    def codes(self, operation: Operation) -> list[dict[str, Any]]:
        """List success, the codes of every operation with input, and the operation's own."""
        names = ["success"]
        if operation.body is not None:
            names.append("not_json")
        if operation.body is not None or operation.query is not None:
            names += ["malformed", "bad_request"]
        names += operation.errors
        return [{"code": Code[name].number, "name": name} for name in dict.fromkeys(names)]


def described() -> Dialect:
    """Return the operations of both versions as one dialect."""
    first, second = versions()
    both = Dialect(first.name, first.renderer)
    both.operations = [*first.operations, *second.operations]
    return both


def _members(declared: Mapping[str, tuple[str, str]]) -> dict[str, Schema]:
    return {
        name: {"type": kind, **({"format": form} if form else {})}
        for name, (kind, form) in declared.items()
    }
