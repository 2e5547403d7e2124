"""Places of a text that are marked: what was searched for, or values of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """A part of a text."""

    text: str
    is_marked: bool = False


def mark(text: str, wanted: Sequence[str]) -> list[Piece]:
    """Return a text in pieces, marked where it holds one of several others in either case."""
    lowered, wanted = text.lower(), [one.lower() for one in wanted if one]
    if len(lowered) != len(text):
        return [Piece(text)]  # rare letters become two: no place would be right
    return _marked(text, _places(lowered, wanted))


def mark_words(text: str, wanted: Sequence[str]) -> list[Piece]:
    """Return a text in pieces, marked where it holds one of several others as a whole word."""
    places = _places(text, [one for one in wanted if one])
    return _marked(text, (place for place in places if _is_whole(text, *place)))


def _places(text: str, wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Find where one of several texts begins and ends, the longest first; none overlap."""
    at, following = 0, {one: text.find(one) for one in wanted}
    while following:
        for one, place in following.items():
            if 0 <= place < at:
                following[one] = text.find(one, at)
        following = {one: place for one, place in following.items() if place >= 0}
        if following:
            one = min(following, key=lambda one: (following[one], -len(one)))
            yield following[one], following[one] + len(one)
            at = following[one] + len(one)


def _is_whole(text: str, begin: int, end: int) -> bool:
    around = text[max(begin - 1, 0) : begin] + text[end : end + 1]
    return not any(letter.isalnum() or letter in "_-" for letter in around)


def _marked(text: str, places: Iterator[tuple[int, int]]) -> list[Piece]:
    pieces, at = [], 0
    for begin, end in places:
        pieces += [Piece(text[at:begin]), Piece(text[begin:end], is_marked=True)]
        at = end
    return [piece for piece in (*pieces, Piece(text[at:])) if piece.text]
