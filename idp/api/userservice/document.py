"""How the user service describes itself: both versions, their envelope and its codes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from idp.api.dialect import Dialect, Operation
from idp.api.openapi import Schema, nullable
from idp.api.userservice.codes import Code
from idp.api.userservice.dialect import PREFIX, SECOND, versions

TITLE = "User service"
VERSION = "1.0"
DESCRIPTION = """\
Accounts, tenants, bundles, roles, privileges, applications and menus.

Every operation exists twice. V1 under `/user/` answers with the bare value, and refuses with
problem details of RFC 9457: 400 for input that is not valid, 409 for what exists already or is in
use. V2 under `/user/v2/` puts the same value into `R`: `code` 0 is success, business refusals are
HTTP 200 with another code, and `extra.errors` maps each wrong field to its messages. 401, 403 and
404 are HTTP statuses in both.
"""
MODULES = {
    "accounts-tenants-bundles": "统一账号-租户、套餐、账号相关 · Accounts, tenants, bundles",
    "roles-privileges": "统一账号-角色权限 · Roles and privileges",
    "resources": "统一账号-资源相关 · Applications, menus, resources",
}

_PAGE: dict[str, tuple[str, str, str]] = {
    "counts": ("integer", "int64", "Rows over all pages."),
    "first": ("boolean", "", "Whether this is page 1."),
    "itemsSize": ("integer", "int32", "Rows on this page."),
    "page": ("integer", "int32", "Number of the page."),
    "pageSize": ("integer", "int32", "Rows that a page has."),
    "pages": ("integer", "int32", "Number of pages."),
}
_ENVELOPE: dict[str, tuple[str, str, str]] = {
    "code": ("integer", "int32", "0 is success; `x-error-codes` lists the others."),
    "isError": ("boolean", "", "Whether the request failed."),
    "isSuccess": ("boolean", "", "Whether the request succeeded."),
    "msg": ("string", "", "A text for people."),
    "path": ("string", "", "The path that was called."),
    "timestamp": ("integer", "int64", "Milliseconds since 1970."),
}


class UserServiceWording:
    """V1 without an envelope, V2 with `R`."""

    title = TITLE
    description = DESCRIPTION
    version = VERSION
    prefix = PREFIX
    modules: Mapping[str, str] = {
        **MODULES,
        **{f"{name}-{SECOND.lower()}": f"{text} (V2.0)" for name, text in MODULES.items()},
    }

    def components(self) -> dict[str, Schema]:
        """Give what pages and answers of V2 begin with."""
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

    def outcome(self, operation: Operation) -> str:
        """Say where the outcome stands; a page of V1 has no code."""
        if operation.id.endswith(SECOND):
            return "The outcome; look at `code`."
        return "One page of the rows."

    def statuses(self, operation: Operation) -> Collection[str]:
        """Say that something may be missing; what V1 refuses by a rule is a 409."""
        changes = operation.method != "GET" and not operation.id.endswith(SECOND)
        return ("404", "409") if changes else ("404",)

    def enveloped_refusals(self) -> tuple[str, Schema]:
        """Give the envelope of V2, which refusals have as well."""
        return "R", {"$ref": "#/components/schemas/R"}

    def has_enveloped_refusals(self, operation: Operation) -> bool:
        """Whether an operation is one of V2."""
        return operation.id.endswith(SECOND)

    def codes(self, operation: Operation) -> list[dict[str, Any]]:
        """List success, what every operation with input answers with, and the operation's own."""
        names = ["success"]
        if operation.body is not None:
            names.append("not_json")
        if operation.body is not None or operation.query is not None:
            names += ["malformed", "bad_request"]
        names += operation.errors
        return [{"code": Code[name].number, "name": name} for name in dict.fromkeys(names)]


def described() -> Dialect:
    """Give the operations of both versions as one list."""
    first, second = versions()
    both = Dialect(first.name, first.renderer)
    both.operations = [*first.operations, *second.operations]
    return both


def _members(declared: Mapping[str, tuple[str, str, str]]) -> dict[str, Schema]:
    return {
        name: {"type": kind, **({"format": form} if form else {}), "description": text}
        for name, (kind, form, text) in declared.items()
    }
