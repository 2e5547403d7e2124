"""The one reader of YAML: what JSON can express, in one pass and within limits.

PyYAML's own loaders read numbers to the base of 60, dates and merge keys, and let a few aliases
stand for a huge document. Here only its parser is used: values are made from its events, so that
time and memory follow the length of the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from idp.platform.integers import INT64_MAX

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{
        spelled: value
        for value, words in ((True, ("true", "yes", "on")), (False, ("false", "no", "off")))
        for word in words
        for spelled in (word, word.capitalize(), word.upper())
    },
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.?[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_LONGEST_NUMBER = 64


class YamlError(ValueError):
    """The text is no YAML that is read here; the message is a part of a sentence."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much YAML a reader takes."""

    size: int
    """Bytes."""
    levels: int
    values: int = 300_000
    """Values, those behind aliases counted each time."""
    text: int = 8 * 1024 * 1024
    """Characters of all names and texts, those behind aliases counted each time."""
    aliases: bool = False
    """Whether a part may be given a name and be used again."""
    repeats: bool = True
    """Whether a name may stand twice in a mapping; the later one counts, as in JSON."""


def load(content: bytes, limits: Limits) -> Any:
    """Read one document; YamlError when it is none or goes past a limit."""
    if len(content) > limits.size:
        raise YamlError(f"YAML may have {limits.size} bytes")
    try:
        reader = _Reader(limits)
        for event in yaml.parse(content.decode("utf-8-sig"), yaml.CSafeLoader):
            reader.take(event)
    except UnicodeDecodeError:
        raise YamlError("it is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise YamlError(f"{error.problem}, line {line}") from None
    except yaml.YAMLError:
        raise YamlError("it has characters that YAML does not allow") from None
    return reader.document


@dataclass(slots=True)
class _Open:
    """A list or a mapping that has not ended."""

    content: list[Any] | dict[str, Any]
    anchor: str | None
    values: int
    """Values before it."""
    text: int
    name: str | None = None
    """In a mapping: the name whose value comes next."""


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A part that an alias may stand for."""

    content: Any
    values: int
    text: int


class _Reader:
    """Makes values from events."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: list[_Open] = []
        self._anchored: dict[str, _Anchored] = {}
        self._values = 0
        self._text = 0
        self._documents = 0
        self.document: Any = None

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            self._name(ended.anchor, ended.content, ended.values, ended.text)
            self._put(ended.content)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise YamlError("it is more than one document")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        _check_tag(event)
        text: str = event.value
        self._count(1, len(text))
        if "\0" in text:
            raise YamlError("it holds a NUL character")
        within = self._open[-1] if self._open else None
        if within is not None and isinstance(within.content, dict) and within.name is None:
            if not self._limits.repeats and text in within.content:
                raise YamlError(f"{text[:100]!r} stands there twice")
            # A name is what is written: hashes of numbers can be chosen, those of text cannot.
            within.name = text
            return
        value = _plain(text) if event.implicit[0] else text
        self._name(event.anchor, value, self._values - 1, self._text - len(text))
        self._put(value)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        _check_tag(event)
        self._check_place()
        content: list[Any] | dict[str, Any] = (
            {} if isinstance(event, yaml.MappingStartEvent) else []
        )
        self._open.append(_Open(content, event.anchor, self._values, self._text))
        self._count(1, 0)
        if len(self._open) > self._limits.levels:
            raise YamlError(f"it is nested more than {self._limits.levels} levels deep")

    def _alias(self, event: yaml.AliasEvent) -> None:
        if not self._limits.aliases:
            raise YamlError("aliases are not read")
        self._check_place()
        # What is still open would hold itself; it has no name before it ends.
        anchored = self._anchored.get(event.anchor or "")
        if anchored is None:
            raise YamlError("an alias stands for nothing")
        self._count(anchored.values, anchored.text)
        if len(self._open) + _levels(anchored.content) > self._limits.levels:
            raise YamlError(f"it is nested more than {self._limits.levels} levels deep")
        self._put(_copied(anchored.content))

    def _check_place(self) -> None:
        if self._open and isinstance(self._open[-1].content, dict) and self._open[-1].name is None:
            raise YamlError("a name is a text")

    def _count(self, values: int, text: int) -> None:
        self._values += values
        self._text += text
        if self._values > self._limits.values:
            raise YamlError(f"it has more than {self._limits.values} values")
        if self._text > self._limits.text:
            raise YamlError(f"it has more than {self._limits.text} characters")

    def _name(self, anchor: str | None, content: Any, values: int, text: int) -> None:
        """Keep a part for the aliases that follow, with what has been counted since it began."""
        if anchor is not None and self._limits.aliases:
            self._anchored[anchor] = _Anchored(content, self._values - values, self._text - text)

    def _put(self, value: Any) -> None:
        if not self._open:
            self.document = value
            return
        within = self._open[-1]
        if isinstance(within.content, list):
            within.content.append(value)
        elif within.name is not None:
            within.content[within.name] = value
            within.name = None


def _check_tag(event: yaml.NodeEvent) -> None:
    if getattr(event, "tag", None) is not None:
        raise YamlError("tags are not read")


def _plain(text: str) -> str | int | float | bool | None:
    """Read a value without quotes: a word, a decimal number, or text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or not _DECIMAL.fullmatch(text):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise YamlError("a number is too long")
    if _INTEGER.fullmatch(text):
        number = int(text)
        if abs(number) > INT64_MAX:
            raise YamlError("a number has more than 64 bits")
        return number
    if text.isdigit():
        return text  # a code with leading zeros
    value = float(text)
    if not math.isfinite(value):
        raise YamlError("a number is too large")
    return value


def _levels(content: Any) -> int:
    """Return how many lists and mappings contain each other in a part, one level at a time."""
    levels, here = 0, [content]
    while here := [part for part in here if isinstance(part, list | dict)]:
        levels += 1
        here = [part for outer in here for part in _parts(outer)]
    return levels


def _parts(content: list[Any] | dict[str, Any]) -> Iterator[Any]:
    return iter(content.values() if isinstance(content, dict) else content)


def _copied(content: Any) -> Any:
    """Return a part of its own, so that a change to one place changes no other."""
    if isinstance(content, dict):
        return {name: _copied(part) for name, part in content.items()}
    if isinstance(content, list):
        return [_copied(part) for part in content]
    return content
