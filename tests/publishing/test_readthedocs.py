"""The page in reStructuredText, against the page that the old system made."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import docutils.core
import docutils.nodes
import pytest

from idp.api import docs
from idp.api.center.dialect import center
from idp.publishing.codegen import readthedocs
from idp.publishing.descriptions import parsing
from idp.publishing.descriptions.flaws import UnusableError

pytestmark = pytest.mark.no_database

PAGE = Path(__file__).with_name("authorization_center.rst").read_text(encoding="utf-8")
SOURCE = "https://portal.ixingban.com/docs/services/1/export?DocumentFormat=Swagger"
URL = "https://api.example/docs/openapi.json"


def describe(*operations: dict[str, Any], **info: str) -> dict[str, Any]:
    """Make a description of operations."""
    return {
        "openapi": "3.0.0",
        "info": {"title": "Orders", **info},
        "paths": {f"/{number}": {"get": each} for number, each in enumerate(operations)},
    }


def old_description() -> dict[str, Any]:
    """Read the description that the old page was made of back out of the page."""
    lines = PAGE.split("\n")
    operations, titles = [], {}
    for number, line in enumerate(lines):
        under = lines[number + 1][:1] if number + 1 < len(lines) else ""
        if under in {"-", "~", "^"} and set(lines[number + 1]) == {under}:
            titles = {
                mark: text
                for mark, text in titles.items()
                if "-~^".index(mark) < "-~^".index(under)
            }
            titles[under] = line
        if line == "\t<p>":
            end = lines.index("\t<br /><br />", number)
            link = re.search(r"operations/([\w-]+)", lines[end + 1])
            operations.append(
                {
                    "operationId": link[1],
                    "summary": " - ".join(titles.values()),
                    "description": "\n".join(text[1:] for text in lines[number + 1 : end]),
                }
            )
    assert len(operations) == 74
    return describe(*operations, title=lines[0], description=lines[4].strip())


def test_the_old_page_comes_out_letter_by_letter():
    assert readthedocs.render(old_description(), SOURCE) == PAGE


def test_our_own_description_has_the_same_sections_and_scope_and_permission_lines():
    """What the page of the old system says about an operation, ours says too."""
    document = parsing.read(docs.document(center.name, "https://id.example", "zh"))
    page = readthedocs.render(document, "https://id.example/openapi/authorization-center.json")
    blocks = {
        re.search(r"operations/([\w-]+)", block)[1]: block for block in page.split("|\n")[:-1]
    }
    compared = 0
    for block in PAGE.split("|\n")[:-1]:
        operation_id = re.search(r"operations/([\w-]+)", block)[1]
        labels = re.findall(r"<label>(.*?)</label>\t<code>(.*?)</code>", block)
        if operation_id == "codegen-gen":  # open to everybody in the old system
            continue
        if operation_id not in blocks:
            continue
        assert (
            re.findall(r"<label>(.*?)</label>\t<code>(.*?)</code>", blocks[operation_id]) == labels
        )
        compared += 1
    assert compared > 40
    # It has the same sections in the same order, as far as their modules are built.
    (sections,) = titles(page).values()
    (old_sections,) = titles(PAGE).values()
    assert list(sections) == [name for name in old_sections if name in sections]
    assert len(sections) >= 7
    assert "https://id.example/openapi/operations/client-get" in page


def test_sections_come_from_the_summaries_else_from_the_tags():
    document = describe(
        {"summary": "Orders - List", "operationId": "a"},
        {"summary": "Orders - Lines - Add", "operationId": "b"},
        {"summary": "Count stock", "operationId": "c", "tags": ["stock"]},
        {"summary": "Orders - Lines - Remove", "operationId": "d"},
        {"operationId": "e"},
    )
    document["tags"] = [{"name": "stock", "description": "The stock"}]
    assert titles(readthedocs.render(document, URL)) == {
        "Orders": {
            "Orders": {"List": {}, "Lines": {"Add": {}, "Remove": {}}},
            "The stock": {"Count stock": {}},
            "API": {"e": {}},
        }
    }


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        '<code onclick="alert(1)">x</code>',
        "<a href='javascript:alert(1)'>x</a>",
        "</p>\n\n.. raw:: html\n\n   <script>alert(1)</script>",
    ],
)
def test_a_description_brings_no_scripts_into_the_page(text):
    document = describe(
        {"summary": text, "operationId": text, "description": text}, title=text, description=text
    )
    page = readthedocs.render(document, URL)
    tree = docutils.core.publish_doctree(page, settings_overrides={"report_level": 5})
    found = Tags()
    for node in tree.findall(docutils.nodes.raw):
        found.feed(node.astext())
    assert {tag for tag, _ in found.tags} <= {"p", "br", "a", "code", "label"}
    (link,) = [attributes for _, attributes in found.tags if attributes]
    assert link.keys() == {"class", "href"}
    assert link["href"].startswith("https://api.example/docs/operations/%3C")
    assert "alert(1)" in found.text


@pytest.mark.parametrize(
    "title", [".. include:: /etc/passwd", "*x*", "`a`_", "|x|", "=====", "- a", "a\n===\nb", "  "]
)
def test_a_title_is_only_a_title(title):
    page = readthedocs.render(describe({"summary": title, "operationId": "a"}, title=title), URL)
    messages = []
    tree = docutils.core.publish_doctree(
        page,
        settings_overrides={
            "report_level": 2,
            "warning_stream": type("Log", (), {"write": lambda _, text: messages.append(text)})(),
        },
    )
    assert messages == []
    assert "root:" not in tree.astext()


class Tags(HTMLParser):
    """What a browser would see in a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def titles(page: str) -> dict[str, Any]:
    """Return the titles of a page as docutils reads them, nested."""
    tree = docutils.core.publish_doctree(page, settings_overrides={"doctitle_xform": False})

    def below(node: Any) -> dict[str, Any]:
        return {
            section.next_node(docutils.nodes.title).astext(): below(section)
            for section in node.children
            if isinstance(section, docutils.nodes.section)
        }

    return below(tree)


def test_a_page_that_is_far_longer_than_its_description_is_refused():
    # The address of the description stands in the link of every operation.
    paths = {f"/{number}": {"get": {}} for number in range(20_000)}
    document = {"openapi": "3.0.0", "info": {}, "paths": paths}
    assert readthedocs.render(document, "https://a.example/x")
    with pytest.raises(UnusableError, match="characters"):
        readthedocs.render(document, f"https://a.example/{'a' * 1900}/x")
