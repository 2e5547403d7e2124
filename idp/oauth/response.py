"""Answers of protocol endpoints as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import orjson

NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_JSON = {"Content-Type": "application/json"}
_JSON_NO_STORE = _JSON | {**NO_STORE}


@dataclass(slots=True)
class ProtocolResponse:
    """Status, headers and body of an answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Interaction:
    """A page that the person must answer before the request can go on."""

    kind: Literal[
        "login",
        "login/factor",
        "login/enrol",
        "login/passkey",
        "choose",
        "choose-tenant",
        "consent",
        "register",
        "logout",
    ]
    handle: str

    @property
    def location(self) -> str:
        """Local address of the page."""
        return f"/{self.kind}?request={self.handle}"


@dataclass(frozen=True, slots=True)
class FormPost:
    """An authorization response that a page posts to the client (OAuth form post response mode)."""

    action: str
    fields: Mapping[str, str]


def json_response(
    content: Any, *, status: int = 200, headers: Mapping[str, str] = NO_STORE
) -> ProtocolResponse:
    """Return JSON that must not be stored."""
    complete = _JSON_NO_STORE if headers is NO_STORE else {**_JSON, **headers}
    return ProtocolResponse(status, complete, orjson.dumps(content))


def with_query(uri: str, fields: Mapping[str, str]) -> str:
    """Append fields to the query of an address, which is otherwise kept as it is written.

    The address was registered: taking it apart and writing it again could make another one of it.
    """
    joint = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
    return f"{uri}{joint}{urlencode(fields)}"


def redirect(location: str) -> ProtocolResponse:
    """Send the browser elsewhere; always 303, so that a POST is never repeated there."""
    return ProtocolResponse(303, {"Location": location, **NO_STORE})
