"""Reading a file of YAML or JSON into plain values, within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from idp.platform import plain_yaml
from idp.platform.errors import BadRequest
from idp.platform.web import forms

LARGEST_FILE = 4 * 1024 * 1024
DEEPEST = 40

# As many values as fit: the file comes from the operator.
_YAML = plain_yaml.Limits(size=LARGEST_FILE, levels=DEEPEST, values=LARGEST_FILE, repeats=False)


def read(path: Path) -> Any:
    """Read a file; one that ends in `.json` as JSON, any other as YAML."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise BadRequest(f"A file can have at most {LARGEST_FILE} bytes.")
    return parse_json(content) if path.suffix == ".json" else parse_yaml(content)


def parse_json(content: bytes) -> Any:
    """Read JSON."""
    forms.check_json(content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as problem:
        raise BadRequest(f"The file is not valid JSON: {problem}.") from None


def parse_yaml(content: bytes) -> Any:
    """Read YAML: plain values only, no aliases, no duplicate names."""
    try:
        return plain_yaml.load(content, _YAML)
    except plain_yaml.YamlError as problem:
        raise BadRequest(f"The file is not valid YAML: {problem}.") from None
