"""Checks of a description for the gateway: valid OpenAPI 2 or 3, not too large, servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import jsonschema_rs
import orjson

from idp.publishing.descriptions import operations, references
from idp.publishing.descriptions.parsing import LONGEST_NAME
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.state import pack

MAX_OPERATIONS = 2000

_KINDS = ("2.0", "3.0", "3.1")


@dataclass(frozen=True, slots=True)
class Description:
    """A description that was read and found valid."""

    url: str
    kind: str
    """2.0, 3.0 or 3.1."""
    document: dict[str, Any]

    def packed(self) -> bytes:
        """Return the document as it is stored."""
        return pack(self.document)

    def servers(self) -> list[str]:
        """List its server addresses, absolute; templates and overlong ones are left out."""
        return list(_servers(self.document, self.url))


def check(document: dict[str, Any], url: str) -> Description:
    """Return a valid description; NotPublished names what is wrong with it."""
    kind = _kind(document)
    _check_size(document)
    _check_references(document)
    for error in _validator(kind).iter_errors(document):
        where = "/".join(str(step) for step in error.instance_path) or "the document"
        raise NotPublished(Reason.INVALID, f"{where}: {error.message[:120]}")
    return Description(url, kind, document)


def _kind(document: dict[str, Any]) -> str:
    kind = str(document.get("openapi", document.get("swagger")))[:3]
    if kind not in _KINDS or ("swagger" in document) != (kind == "2.0"):
        raise NotPublished(Reason.INVALID, "neither Swagger 2.0 nor OpenAPI 3.0 or 3.1")
    return kind


def _check_size(document: dict[str, Any]) -> None:
    paths = document.get("paths")
    if isinstance(paths, dict) and sum(1 for _ in operations.of(document)) > MAX_OPERATIONS:
        raise NotPublished(Reason.TOO_MANY_OPERATIONS, str(MAX_OPERATIONS))


def _check_references(document: dict[str, Any]) -> None:
    """Refuse local references whose target is missing."""
    for part in references.objects(document):
        target = part.get("$ref")
        if not isinstance(target, str) or not target.startswith("#/"):
            continue
        if references.find(document, target) is None:
            raise NotPublished(Reason.INVALID, f"{target[:200]} has no target")


def _servers(document: dict[str, Any], url: str) -> Iterator[str]:
    if "swagger" in document:
        here = urlsplit(url)
        host = document.get("host") or here.netloc
        for scheme in document.get("schemes") or [here.scheme]:
            yield f"{scheme}://{host}{document.get('basePath') or ''}"
        return
    for server in document.get("servers") or [{"url": "/"}]:
        if "{" in server["url"] or len(server["url"]) > LONGEST_NAME:
            continue
        try:
            yield urljoin(url, server["url"])
        except ValueError:
            # An unreadable address is never one that an operator allows.
            yield server["url"]


@cache
def _validator(kind: str) -> jsonschema_rs.Validator:
    folder = Path(__file__).parent / "schemas"
    return jsonschema_rs.validator_for(orjson.loads((folder / f"openapi-{kind}.json").read_bytes()))
