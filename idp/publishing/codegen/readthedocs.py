"""`readthedocs.gen`: a page in reStructuredText about every operation of a description."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from idp.publishing.descriptions import operations
from idp.publishing.descriptions.flaws import Flaw, UnusableError
from idp.publishing.descriptions.operations import Operation

NAME = "readthedocs.gen"

MAX_PAGE = 16 * 1024 * 1024
"""Characters of a page: escapes and links make it longer than the description."""

_BELOW = " - "
"""Between the section, the section in it, and the name of an operation in its summary."""
_SAYING_MORE = " · "
"""Behind the name of a tag in its description."""
_LEAST = {"=": 17, "-": 22, "~": 22, "^": 27}
"""How long the lines under titles are at least."""

# What descriptions are written with; everything else in them is text.
_TAGS = re.compile(r"&lt;(/?(?:b|br|code|em|i|label|li|ol|p|strong|ul)(?: ?/)?)&gt;")
_SPECIAL = re.compile(r"([\\*`|_])")


def render(document: dict[str, Any], source_url: str) -> str:
    """Write the page: one section per prefix of the summaries, one entry per operation."""
    page: list[str] = []
    left = MAX_PAGE
    for line in _lines(document, source_url):
        left -= len(line) + 1
        if left < 0:
            raise UnusableError(Flaw.LONG_PAGE, str(MAX_PAGE))
        page.append(line)
    return "\n".join(page)


def _lines(document: dict[str, Any], source_url: str) -> Iterator[str]:
    title = operations.info(document, "title").strip() or "API"
    note = operations.info(document, "description").strip() or title
    yield from (*_title(title, "="), ".. Note::", "")
    yield from (f"\t{_plain(line)}".rstrip() for line in note.splitlines())
    yield ""
    root = _folder(source_url)
    texts = _texts_of_tags(document)
    for section, entries in _grouped(document, texts):
        yield from (*_title(section, "-"), "")
        opened = ""
        for below, name, operation in entries:
            if below and below != opened:
                yield from (*_title(below, "~"), "")
            opened = below
            yield from (*_title(name, "^" if below else "~"), "", *_entry(operation, root))
        yield ""


def _grouped(
    document: dict[str, Any], texts: dict[str, str]
) -> Iterator[tuple[str, list[tuple[str, str, Operation]]]]:
    """Sort operations into sections, both in the order of the description."""
    sections: dict[str, list[tuple[str, str, Operation]]] = {}
    for operation in operations.of(document):
        parts = [part.strip() for part in operation.summary.split(_BELOW, 2) if part.strip()]
        parts = parts or [operation.id]
        if len(parts) == 1:
            parts.insert(0, texts.get(operation.tag, operation.tag) or "API")
        section, *below, name = parts
        sections.setdefault(section, []).append((below[0] if below else "", name, operation))
    for section, entries in sections.items():
        # Operations under one title are listed together.
        order = {below: number for number, below in enumerate(dict.fromkeys(e[0] for e in entries))}
        yield section, sorted(entries, key=lambda entry: order[entry[0]])


def _texts_of_tags(document: dict[str, Any]) -> dict[str, str]:
    tags = document.get("tags")
    return {
        tag["name"]: tag["description"].partition(_SAYING_MORE)[0]
        for tag in (tags if isinstance(tags, list) else ())
        if isinstance(tag, dict)
        and isinstance(tag.get("name"), str)
        and isinstance(tag.get("description"), str)
    }


def _entry(operation: Operation, root: str) -> Iterator[str]:
    link = html.escape(f"{root}operations/{quote(operation.id, safe='-._~')}")
    yield from (".. raw:: html", "", "\t<p>")
    for line in _about(operation).splitlines() or [""]:
        yield f"\t{line}"
    yield "\t<br /><br />"
    yield f'\t<a class="btn btn-neutral" href="{link}">Link</a>'
    yield from ("\t</p>", "", "|", "")


def _about(operation: Operation) -> str:
    """Return the scope and permission lines, or what the description has in their place."""
    labels = []
    if operation.scope:
        labels.append(("Client Scopes：", operation.scope))  # noqa: RUF001 - as the page has it
    if operation.permission:
        labels.append(("User Permissions：", operation.permission))  # noqa: RUF001 - as above
    written = "\t".join(
        f"<label>{label}</label>\t<code>{html.escape(code)}</code>" for label, code in labels
    )
    text = _TAGS.sub(r"<\1>", html.escape(operation.description, quote=False)).rstrip()
    if "<label>" in text or not written:  # the old descriptions hold the lines themselves
        return text
    return f"{written}\t{text}" if text else written


def _plain(text: str) -> str:
    """Return a text on one line, without reStructuredText markup."""
    line = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    if line.endswith("::"):
        line = line[:-1] + "\\:"
    return "\\" + line if line and not line[0].isalnum() and line[0] != "\\" else line


def _folder(url: str) -> str:
    """Return the folder that a description lies in, without query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}/"


def _title(text: str, mark: str) -> list[str]:
    line = _plain(text)
    width = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)
    return [line, mark * max(_LEAST[mark], width)]
