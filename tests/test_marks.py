"""Marked places of a text."""

from __future__ import annotations

import pytest

from idp.pages.console import marks

pytestmark = pytest.mark.no_database


def written(pieces: list[marks.Piece]) -> str:
    return "".join(f"[{text}]" if is_marked else text for text, is_marked in pieces)


@pytest.mark.parametrize(
    ("text", "wanted", "marked"),
    [
        ("Orders web", ["ord"], "[Ord]ers web"),
        ("aaaa", ["aa"], "[aa][aa]"),
        ("<b>", ["<"], "[<]b>"),
        ("nothing", ["x", ""], "nothing"),
        ("", ["x"], ""),
        ("\u0130x", ["x"], "\u0130x"),
        (".*", [".*"], "[.*]"),
        ("abc", ["b", "abc"], "[abc]"),
    ],
)
def test_a_text_is_marked_in_either_case(text, wanted, marked):
    assert written(marks.mark(text, wanted)) == marked


def test_words_are_marked_where_they_are_whole():
    text = "web = web_app; a-web 'web' webs"
    assert written(marks.mark_words(text, ["web"])) == "[web] = web_app; a-web '[web]' webs"


def test_a_long_text_with_many_places_is_marked():
    pieces = marks.mark("a" * 100_000, ["a", "ab", "b"])
    assert len(pieces) == 100_000
