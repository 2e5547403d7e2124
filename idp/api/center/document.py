"""How the Authorization Center describes itself: its envelope and codes in OpenAPI."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from idp.api.center.codes import Code
from idp.api.dialect import Operation
from idp.api.openapi import Schema, nullable

TITLE = "Authorization Center"
VERSION = "1.0"
PREFIX = "/api"
DESCRIPTION = """\
Manages OAuth clients, microservices and their scopes, roles, tenants and people.

Every business outcome is HTTP 200: `code` tells what happened, 200 is success. With `code` 422
`message` is a JSON text that maps each wrong field to its messages. HTTP itself refuses who may
not call (401, 403) and what cannot be read (400, 413), as problem details of RFC 9457.

Every path is served without `/api` as well. Texts are Chinese or English: `culture` in the query,
a cookie, or `Accept-Language`.
"""
MODULES = {
    "apiresource": "微服务 · Microservices (API resources) and their scopes",
    "client": "客户端 · OAuth clients",
    "codegen": "代码生成 · Code generation",
    "file": "文件 · Files",
    "identityresource": "身份服务 · Identity resources",
    "role": "角色 · Roles",
    "tenant": "租户 · Tenants",
    "user": "用户 · People and registration",
}

_HEAD: Schema = {
    "code": {
        "type": "integer",
        "format": "int32",
        "default": 200,
        "description": "200 is success; `x-error-codes` lists the others.",
    },
    "codeName": {"type": "string", "default": "Status200OK"},
    "message": {
        "type": ["string", "null"],
        "description": "A text for people; with code 422 a JSON text: field to messages.",
    },
}


def _counted(text: str) -> Schema:
    return {"type": "integer", "format": "int32", "default": 0, "description": text}


_COUNTS: Schema = {
    "take": _counted("Rows that were asked for."),
    "skip": _counted("Rows that were skipped."),
    "total": _counted("Rows that there are."),
}


class CenterWording:
    """The envelope `code`, `codeName`, `message`, `data`."""

    title = TITLE
    description = DESCRIPTION
    version = VERSION
    prefix = PREFIX
    modules: Mapping[str, str] = MODULES

    def components(self) -> dict[str, Schema]:
        """Give what every answer begins with."""
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
        held = {**data, "default": []} if operation.form == "list" else nullable(data)
        base = {"$ref": f"#/components/schemas/{kind}Base"}
        properties = {"type": "object", "properties": {"data": held}}
        return f"{kind}_{name}", {"allOf": [base, properties]}

    def outcome(self, operation: Operation) -> str:
        """Say where the outcome stands."""
        del operation
        return "The outcome; look at `code`."

    def statuses(self, operation: Operation) -> Collection[str]:
        """List nothing more: the envelope tells the rest."""
        del operation
        return ()

    def enveloped_refusals(self) -> None:
        """Say that what HTTP refuses has no envelope."""

    def has_enveloped_refusals(self, operation: Operation) -> bool:
        """Say that what HTTP refuses has no envelope."""
        del operation
        return False

    def codes(self, operation: Operation) -> list[dict[str, Any]]:
        """List success, what every operation answers with, and the operation's own."""
        if operation.form in {"bare", "number"}:
            return []
        names = ["Status200OK"]
        if operation.body or operation.query or operation.upload:
            names.append("UnprocessableEntity")
        names += [*operation.errors, "ExpectationFailed"]
        return [{"code": Code[name].number, "name": name} for name in dict.fromkeys(names)]
