"""Marked places of a text."""

from __future__ import annotations

import pytest

from idp.pages.console import marks

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize(
    ("text", "wanted", "marked"),
    [
        ("Orders web", ["ord"], "<mark>Ord</mark>ers web"),
        ("aaaa", ["aa"], "<mark>aa</mark><mark>aa</mark>"),
        ("<b>", ["b"], "&lt;<mark>b</mark>&gt;"),
        ("<b>", ["<"], "<mark>&lt;</mark>b&gt;"),
        ("nothing", ["x", ""], "nothing"),
        ("", ["x"], ""),
        ("İx", ["x"], "İx"),
        (".*", [".*"], "<mark>.*</mark>"),
        ("abc", ["b", "abc"], "<mark>abc</mark>"),
    ],
)
def test_a_text_is_marked_in_either_case(text, wanted, marked):
    assert str(marks.mark(text, wanted)) == marked


def test_words_are_marked_where_they_are_whole():
    text = "web = web_app; a-web 'web' webs"
    assert str(marks.mark_words(text, ["web"])) == (
        "<mark>web</mark> = web_app; a-web &#39;<mark>web</mark>&#39; webs"
    )


def test_a_long_text_with_many_places_is_marked():
    text = "a" * 100_000
    assert marks.mark(text, ["a", "ab", "b"]).count("<mark>") == 100_000
