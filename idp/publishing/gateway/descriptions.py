"""API descriptions: fetched with care, read without surprises, checked as OpenAPI 2 or 3."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import jsonschema_rs
import orjson

from idp.platform import plain_yaml
from idp.platform.errors import BadRequest, Unavailable
from idp.platform.fetch import Fetcher
from idp.platform.web import forms
from idp.publishing import outside, slots
from idp.publishing.gateway.reasons import NotPublished, Reason

MAX_BYTES = 8 * 1024 * 1024
MAX_YAML_BYTES = 2 * 1024 * 1024
MAX_OPERATIONS = 2000
LONGEST_NAME = 2048
"""Characters of a name in a description, a path too: the path of a request has no more."""
FETCH_SECONDS = 20.0

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
"""A place in a list, as RFC 6901 writes it."""
_YAML = plain_yaml.Limits(size=MAX_YAML_BYTES, levels=forms.MAX_JSON_DEPTH, aliases=True)
_KINDS = {"2.0": "2.0", "3.0": "3.0", "3.1": "3.1"}


@dataclass(frozen=True, slots=True)
class Description:
    """A description that was read and found valid."""

    url: str
    kind: str
    """2.0, 3.0 or 3.1."""
    document: dict[str, Any]

    def packed(self) -> bytes:
        """Give the document as it is stored."""
        return pack(self.document)

    def servers(self) -> list[str]:
        """List the addresses that it names, absolute; templates and endless ones stay out."""
        return list(_servers(self.document, self.url))


def pack(document: dict[str, Any]) -> bytes:
    """Write a document for storage: JSON, compressed."""
    return zlib.compress(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), 6)


def unpack(packed: bytes) -> dict[str, Any]:
    """Read a stored document."""
    document: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    return document


def fetch(fetcher: Fetcher, url: str) -> Description:
    """Fetch a description that a caller named, by the guarded way alone."""
    with slots.taken():
        try:
            raw = fetcher.get(url, max_bytes=MAX_BYTES, timeout=FETCH_SECONDS)
        except BadRequest as problem:
            raise BadRequest.at("swagger_url", problem.detail) from None
        except Unavailable as problem:
            raise NotPublished(Reason.NOT_FETCHED, debug=problem.debug) from None
        return read(raw, url)


def read(raw: bytes, url: str) -> Description:
    """Read and check a description; NotPublished names what is wrong with it."""
    document = _parse(raw)
    kind = _kind(document)
    _check_size(document)
    _check_references(document)
    for error in _validator(kind).iter_errors(document):
        where = "/".join(str(step) for step in error.instance_path) or "the document"
        raise NotPublished(Reason.INVALID, f"{where}: {error.message[:120]}")
    return Description(url, kind, document)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """List method, path and content of every operation."""
    for path, item in document.get("paths", {}).items():
        if isinstance(item, dict):
            for method in METHODS:
                if isinstance(item.get(method), dict):
                    yield method, path, item[method]


def resolve(document: dict[str, Any], value: Any) -> Any:
    """Follow local references, a few steps far; None where they lead nowhere."""
    for _ in range(8):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            return value
        value = _at(document, value["$ref"])
    return None


def _parse(raw: bytes) -> dict[str, Any]:
    document = _parse_json(raw) if raw.lstrip()[:1] in {b"{", b"["} else _parse_yaml(raw)
    if not isinstance(document, dict):
        raise NotPublished(Reason.BROKEN, "it is no object")
    return document


def _parse_json(raw: bytes) -> Any:
    if outside.has_too_many_parts(raw):
        raise NotPublished(Reason.BROKEN, f"it has more than {outside.MOST_PARTS} values")
    try:
        forms.check_json(raw)
        return orjson.loads(raw)
    except BadRequest as problem:
        raise NotPublished(Reason.BROKEN, problem.detail) from None
    except orjson.JSONDecodeError as error:
        raise NotPublished(Reason.BROKEN, f"{error.msg}, line {error.lineno}") from None


def _parse_yaml(raw: bytes) -> Any:
    try:
        return plain_yaml.load(raw, _YAML)
    except plain_yaml.YamlError as error:
        raise NotPublished(Reason.BROKEN, str(error)) from None


def _kind(document: dict[str, Any]) -> str:
    version = document.get("openapi", document.get("swagger"))
    kind = _KINDS.get(version[:3]) if isinstance(version, str) else None
    if kind is None or ("swagger" in document) != (kind == "2.0"):
        raise NotPublished(Reason.INVALID, "neither Swagger 2.0 nor OpenAPI 3.0 or 3.1")
    return kind


def _check_size(document: dict[str, Any]) -> None:
    paths = document.get("paths")
    if isinstance(paths, dict) and sum(1 for _ in operations(document)) > MAX_OPERATIONS:
        raise NotPublished(Reason.TOO_MANY_OPERATIONS, str(MAX_OPERATIONS))


def _check_references(document: dict[str, Any]) -> None:
    """Refuse references that lead out of the document or nowhere within it, and endless names."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            if any(len(name) > LONGEST_NAME for name in value):
                raise NotPublished(Reason.INVALID, f"a name may have {LONGEST_NAME} characters")
            leading = outside.leading(value)
            if leading is not None:
                raise NotPublished(Reason.EXTERNAL_REFERENCE, leading[1][:200])
            target = value.get("$ref")
            if not isinstance(target, str) or not target.startswith("#/"):
                continue
            if _at(document, target) is None:
                raise NotPublished(Reason.INVALID, f"{target[:200]} leads nowhere")


def _at(document: dict[str, Any], pointer: str) -> Any:
    """Give what a local JSON pointer leads to (RFC 6901); None: nothing."""
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
            # An address that nobody can read is none that an operator allows.
            yield server["url"]


@cache
def _validator(kind: str) -> jsonschema_rs.Validator:
    folder = Path(__file__).parent / "schemas"
    return jsonschema_rs.validator_for(orjson.loads((folder / f"openapi-{kind}.json").read_bytes()))
