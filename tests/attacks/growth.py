"""What work costs as its input grows, and input that makes it cost more than it should.

`re` cannot be watched from within, so the processor time of this thread is compared at two sizes:
what else runs on the machine does not count. Four times the input costs four times the work where
that is linear, and sixteen times where it goes with the square.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

SIZES = (16, 20, 24, 28, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Close together at first: what doubles with every character would not come back otherwise."""
FACTOR = 8
"""Between 4, which is linear, and 16, which is the square."""
CHEAP_SECONDS = 0.004
"""Nothing is compared that costs less; the square of 8192 in steps of `re` is thirty times that."""
LONG = 16
"""A repetition that may be longer counts as one without end."""

UNITS = (
    *("a", "A", "0", "é", " ", "\t", "\n", "\r", "\0", "\x7f", "!", '"', "'", "\\", "/", "%", "&"),
    *("+", "-", "_", ".", ",", ":", ";", "=", "?", "@", "#", "$", "*", "|", "~", "^", "`"),
    *("<", ">", "(", ")", "[", "]", "{", "}", "[]", "{}", '\\"', "\\\\", "%41", "a.", "a/", "a=b&"),
    *("a,", "a;", "a b", "../", "1.", ":0", "0:", "\r\n", "\n-", "- ", "<a", "&amp;", "\ufeff"),
    *("*a", "&a ", "!a ", "q=0.1,", "xn--", "\u0130", "\ufdfa", "\u0301\u0323", "\U0001f600"),
)
"""What no pattern has to suggest. Some letters grow when they are normalised."""
SUFFIXES = ("", "!", "\n", "\0")

_SHOWN = "a0!_ \\\"'/.=-\n"
"""What stands for the many characters of a set that excludes a few."""


@dataclass(frozen=True)
class Attack:
    """A text of any length."""

    prefix: str
    unit: str
    suffix: str = ""

    def of_size(self, size: int) -> str:
        """Return the text with about so many characters."""
        return self.prefix + self.unit * (size // len(self.unit)) + self.suffix


def worst(
    run: Callable[[str], object],
    attacks: Iterable[Attack],
    sizes: Sequence[int] = SIZES,
    cheap: float = CHEAP_SECONDS,
) -> Attack | None:
    """Return the first text for which the work grows faster than the text; None: there is none."""
    for attack in attacks:
        for size in sizes:
            cost = _cost(run, attack, size)
            if cost > cheap and _explodes(run, attack, size, cost):
                return attack
    return None


def _explodes(run: Callable[[str], object], attack: Attack, size: int, cost: float) -> bool:
    """Whether a quarter of the text costs far less than a quarter of the work, each time.

    `cost` is what the whole text cost already: where that is little enough, it is not read again.
    """
    for _ in range(3):
        quarter = min(_cost(run, attack, size // 4) for _ in range(3))
        if cost <= FACTOR * quarter:
            return False
        cost = min(_cost(run, attack, size) for _ in range(3))
        if cost <= FACTOR * quarter:
            return False
    return True


def _cost(run: Callable[[str], object], attack: Attack, size: int) -> float:
    text = attack.of_size(size)
    started = time.thread_time()
    run(text)
    return time.thread_time() - started


# Attacks that a pattern suggests itself


def attacks_on(pattern: re.Pattern[Any]) -> list[Attack]:
    """Derive texts from the repetitions of a pattern: what leads to one, and what it repeats."""
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    leads = dict.fromkeys(_repetitions(tree, [""]))
    words = dict.fromkeys(unit for _, unit in leads) | dict.fromkeys(UNITS)
    found = {
        **{Attack(lead, unit, suffix): None for lead, unit in leads for suffix in SUFFIXES},
        **{Attack("", lead + unit): None for lead, unit in leads},
        **{Attack("", unit): None for unit in words},
        **{Attack(lead, unit): None for (lead, _), unit in product([*leads][:3], UNITS) if lead},
    }
    return [attack for attack in found if attack.unit]


def _repetitions(tree: Iterable[Any], leads: list[str]) -> Iterator[tuple[str, str]]:
    """List what leads to each repetition without end together with what it may repeat."""
    for kind, value in tree:
        if kind in {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}:
            _, most, body = value
            if most is codes.MAXREPEAT or most > LONG:
                yield from product(leads[:3], _samples(body))
            yield from _repetitions(body, leads)
        for inner in _inner(kind, value):
            yield from _repetitions(inner, leads)
        leads = [
            lead + sample for lead, sample in product(leads[:3], _samples([(kind, value)])[:2])
        ]


def _inner(kind: Any, value: Any) -> Iterator[Any]:
    if kind is codes.SUBPATTERN:
        yield value[-1]
    elif kind is codes.BRANCH:
        yield from value[1]
    elif kind in {codes.ASSERT, codes.ASSERT_NOT}:
        yield value[1]
    elif kind is codes.ATOMIC_GROUP:
        yield value


def _samples(tree: Iterable[Any]) -> list[str]:
    """Return some short texts that a part of a pattern matches."""
    texts = [""]
    for kind, value in tree:
        texts = [a + b for a, b in product(texts[:6], _samples_of(kind, value)[:12])][:24]
    return texts


def _samples_of(kind: Any, value: Any) -> list[str]:  # noqa: PLR0911 - one for each kind of node
    if kind is codes.LITERAL:
        return [chr(value)]
    if kind in {codes.NOT_LITERAL, codes.ANY}:
        return [letter for letter in _SHOWN if ord(letter) != value]
    if kind is codes.IN:
        return _samples_of_set(value)
    if kind is codes.BRANCH:
        return [text for branch in value[1] for text in _samples(branch)[:3]]
    if kind is codes.SUBPATTERN:
        return _samples(value[-1])
    if kind is codes.ATOMIC_GROUP:
        return _samples(value)
    if kind in {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}:
        least, _, body = value
        return [text * max(least, 1) for text in _samples(body)]
    return [""]  # a place, or something that is only looked at


def _samples_of_set(items: list[Any]) -> list[str]:
    if items[0][0] is codes.NEGATE:
        excluded = _samples_of_set(items[1:])
        return [letter for letter in _SHOWN if letter not in excluded]
    shown = {codes.CATEGORY_DIGIT: "0", codes.CATEGORY_SPACE: " \n", codes.CATEGORY_WORD: "a0"}
    found = []
    for kind, value in items:
        if kind is codes.LITERAL:
            found.append(chr(value))
        elif kind is codes.RANGE:
            found.append(chr(value[0]))
        elif kind is codes.CATEGORY:
            found += shown.get(value, "!")
    return found
