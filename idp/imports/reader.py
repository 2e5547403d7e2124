"""Reading a file of YAML or JSON into plain values, within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import yaml

from idp.platform.errors import BadRequest
from idp.platform.web import forms

LARGEST_FILE = 4 * 1024 * 1024
DEEPEST = 40


def read(path: Path) -> Any:
    """Read a file; one that ends in `.json` as JSON, any other as YAML."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise BadRequest(f"A file has {LARGEST_FILE} bytes at most.")
    return parse_json(content) if path.suffix == ".json" else parse_yaml(content)


def parse_json(content: bytes) -> Any:
    """Read JSON."""
    forms.check_json(content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as problem:
        raise BadRequest(f"The file is not JSON: {problem}.") from None


def parse_yaml(content: bytes) -> Any:
    """Read YAML: plain values only, nothing that stands for something else, no name twice."""
    try:
        return yaml.load(content, _Loader)  # noqa: S506 - a SafeLoader, only stricter
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as problem:
        text = " ".join(str(problem).split())
        raise BadRequest(f"The file is not YAML: {text}.") from None


class _Loader(yaml.SafeLoader):
    """Refuses what makes small files large, or says a thing twice."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refusal("aliases are not read")
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise self._refusal("tags are not read")
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._refusal(f"it is nested more than {DEEPEST} levels deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own
        names = set()
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise self._refusal("a name is a text")
            if name.value in names:
                raise self._refusal(f"{name.value!r} stands there twice")
            names.add(name.value)
        return super().construct_mapping(node, deep)

    def _refusal(self, text: str) -> yaml.YAMLError:
        return yaml.MarkedYAMLError(problem=text, problem_mark=self.get_mark())
