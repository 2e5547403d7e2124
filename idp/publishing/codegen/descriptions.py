"""API descriptions of strangers: fetched, read and checked before any generator sees them.

What comes out is plain JSON that names nothing outside itself, so that nothing behind it opens a
file or an address on the word of a description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from idp.platform import plain_yaml
from idp.platform.errors import BadRequest, Unavailable, Unprocessable
from idp.platform.fetch import Fetcher
from idp.publishing import outside, slots

MAX_BYTES = 10 * 1024 * 1024
MAX_YAML_BYTES = 2 * 1024 * 1024
"""YAML is read some hundred times slower than JSON."""
MAX_DEPTH = 200
LONGEST_NAME = 2048
"""Characters of a name, a path too."""
_YAML = plain_yaml.Limits(size=MAX_YAML_BYTES, levels=MAX_DEPTH, values=outside.MOST_PARTS)
TIMEOUT_SECONDS = 15.0
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

EXTENSION = "idp.descriptions"
"""Where the application keeps its `OwnDescriptions`."""

OwnDescriptions = Mapping[str, Callable[[str], bytes]]
"""Paths of our own descriptions with their writers, which take the issuer's address.

We do not ask ourselves by HTTP, and need not be allowed to.
"""


class UnusableError(Unprocessable):
    """There is no description that something could be generated from."""

    code = "description_unusable"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a description."""

    id: str
    summary: str
    description: str
    tag: str
    scope: str
    permission: str


def fetch(fetcher: Fetcher, url: str, issuer_url: str, own: OwnDescriptions) -> dict[str, Any]:
    """Return the description at an address; BadRequest when it must not be asked for."""
    write = own.get(url.removeprefix(issuer_url)) if url.startswith(issuer_url) else None
    if write is not None:
        return read(write(issuer_url))
    with slots.taken():
        try:
            return read(fetcher.get(url, max_bytes=MAX_BYTES, timeout=TIMEOUT_SECONDS))
        except BadRequest as problem:
            raise BadRequest.at("swagger_url", problem.detail) from None
        except Unavailable as problem:
            raise UnusableError(problem.detail, debug=problem.debug) from None


def read(content: bytes) -> dict[str, Any]:
    """Read a description in JSON or YAML and check that it stands by itself."""
    if outside.has_too_many_parts(content):
        raise UnusableError("The description has too many parts.")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = _read_yaml(content)
    if not isinstance(document, dict):
        raise UnusableError("The description is no JSON or YAML object.")
    version = document.get("openapi", document.get("swagger"))
    if not isinstance(version, str) or not version.startswith(("3.", "2.")):
        raise UnusableError("The description is neither OpenAPI 3 nor Swagger 2.")
    if not isinstance(document.get("paths"), dict) or not document["paths"]:
        raise UnusableError("The description has no operations.")
    _check_tree(document)
    return document


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """List the operations of a description in its order."""
    # One that was published may have none: OpenAPI 3.1 has webhooks.
    for path, item in document.get("paths", {}).items():
        if not isinstance(item, dict):
            continue
        for method, about in item.items():
            if method not in METHODS or not isinstance(about, dict):
                continue
            tags = about.get("tags")
            operation_id = _text(about, "operationId") or f"{method}{path}"
            yield Operation(
                id=operation_id,
                summary=_text(about, "summary") or operation_id,
                description=_text(about, "description"),
                tag=str(tags[0]) if isinstance(tags, list) and tags else "",
                scope=_text(about, "x-client-scope"),
                permission=_text(about, "x-user-permission"),
            )


def info(document: dict[str, Any], name: str) -> str:
    """Give a text of the description about itself."""
    about = document.get("info")
    return _text(about, name) if isinstance(about, dict) else ""


def root_of(url: str) -> str:
    """Give the folder that a description lies in, without query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}/"


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _read_yaml(content: bytes) -> Any:
    try:
        return plain_yaml.load(content, _YAML)
    except plain_yaml.YamlError as error:
        message = f"The description is neither JSON nor YAML: {error}."
        raise UnusableError(message) from None


def _check_tree(document: dict[str, Any]) -> None:
    """Refuse references to the outside: a generator would open them."""
    waiting: list[tuple[Any, int]] = [(document, 1)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > outside.MOST_PARTS:
            raise UnusableError("The description is nested too deeply or has too many parts.")
        if isinstance(value, dict):
            leading = outside.leading(value)
            if leading is not None:
                raise UnusableError(f"The description refers to something outside: {leading[0]}.")
            for name, part in value.items():
                if len(name) > LONGEST_NAME:
                    raise UnusableError("The description has a name that is too long.")
                if name == "discriminator" and isinstance(part, dict):
                    _check_mapping(part.get("mapping"))
                waiting.append((part, depth + 1))
        elif isinstance(value, list):
            waiting.extend((part, depth + 1) for part in value)


def _check_mapping(mapping: Any) -> None:
    """Refuse a mapping whose values could be files or addresses instead of names of schemas."""
    for value in mapping.values() if isinstance(mapping, dict) else ():
        if not isinstance(value, str) or value.startswith("#"):
            continue
        if any(mark in value for mark in ("/", ":", ".json", ".y")):
            raise UnusableError("The description refers to something outside: mapping.")
