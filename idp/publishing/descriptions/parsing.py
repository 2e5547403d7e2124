"""Reading a description into plain JSON without external references.

No later step opens a file or an address that a description names.
"""

from __future__ import annotations

from typing import Any

import orjson

from idp.platform import plain_yaml
from idp.platform.errors import BadRequest
from idp.platform.web import forms
from idp.publishing.descriptions import references
from idp.publishing.descriptions.flaws import Flaw, UnusableError

MAX_BYTES = 10 * 1024 * 1024
MAX_YAML_BYTES = 2 * 1024 * 1024
"""YAML is read some hundred times slower than JSON."""
MAX_VALUES = 1_000_000
"""Of JSON; YAML has fewer, see `plain_yaml.Limits`."""
MAX_LEVELS = forms.MAX_JSON_DEPTH
LONGEST_NAME = 2048
"""Characters of a name or a path: the limit of paths in requests."""

_YAML = plain_yaml.Limits(size=MAX_YAML_BYTES, levels=MAX_LEVELS, aliases=True)


def read(content: bytes) -> dict[str, Any]:
    """Return a description in JSON or YAML; UnusableError where it is not self-contained."""
    is_json = content.lstrip()[:1] in {b"{", b"["}
    document = _read_json(content) if is_json else _read_yaml(content)
    if not isinstance(document, dict):
        raise UnusableError(Flaw.BROKEN, "it is not an object")
    version = document.get("openapi", document.get("swagger"))
    if not isinstance(version, str) or not version.startswith(("3.", "2.")):
        raise UnusableError(Flaw.INVALID, "neither OpenAPI 3 nor Swagger 2")
    for part in references.objects(document):
        _check(part)
    return document


def _read_json(content: bytes) -> Any:
    # A value of three bytes takes twenty times as much memory, so values are counted before they
    # are read. Commas and brackets inside texts count too; a description has few for its length.
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MAX_VALUES:
        raise UnusableError(Flaw.BROKEN, f"it has more than {MAX_VALUES} values")
    try:
        forms.check_json(content)
        return orjson.loads(content)
    except BadRequest as problem:
        raise UnusableError(Flaw.BROKEN, problem.detail) from None
    except orjson.JSONDecodeError as error:
        raise UnusableError(Flaw.BROKEN, f"{error.msg}, line {error.lineno}") from None


def _read_yaml(content: bytes) -> Any:
    try:
        return plain_yaml.load(content, _YAML)
    except plain_yaml.YamlError as error:
        raise UnusableError(Flaw.BROKEN, str(error)) from None


def _check(part: dict[str, Any]) -> None:
    if any(len(name) > LONGEST_NAME for name in part):
        raise UnusableError(Flaw.INVALID, f"a name may have {LONGEST_NAME} characters")
    outside = references.leading_outside(part)
    if outside is not None:
        raise UnusableError(Flaw.EXTERNAL_REFERENCE, outside)
