"""YAML means what JSON can say, and neither numbers nor aliases make a small text expensive."""

from __future__ import annotations

import pytest

from idp.platform.plain_yaml import Limits, YamlError, load

pytestmark = pytest.mark.no_database

LIMITS = Limits(size=2_000_000, levels=5, aliases=True)
STRICT = Limits(size=100, levels=5, repeats=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("yes", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("9223372036854775807", 2**63 - 1),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        # What other readers make something else of is text here.
        ("007", "007"),
        ("1:30", "1:30"),
        ("1:59:59.5", "1:59:59.5"),
        ("0x1F", "0x1F"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("2026-11-29", "2026-11-29"),
        ("2026-11-29T10:00:00Z", "2026-11-29T10:00:00Z"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("-", [None]),
        ("=", "="),
        ("'1'", "1"),
        ('"yes"', "yes"),
        ("|\n  1", "1"),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("{200: x, yes: y, 1.0: z, ~: n}", {"200": "x", "yes": "y", "1.0": "z", "~": "n"}),
        ("{a: 1, a: 2}", {"a": 2}),
        ("\ufeffa: é", {"a": "é"}),
        ("a: &x {b: [1]}\nc: *x", {"a": {"b": [1]}, "c": {"b": [1]}}),
        ("[&x 1, *x, &x 2, *x]", [1, 1, 2, 2]),
        ("--- [a, b: c]", ["a", {"b": "c"}]),
    ],
)
def test_values_are_those_of_json(text, value):
    assert load(text.encode(), LIMITS) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9" * 19, "64 bits"),
        ("9" * 65, "too long"),
        ("1e999", "too large"),
        ("!!str a", "tags"),
        ("! a", "tags"),
        ("a: !x [1]", "tags"),
        ("? [a]\n: b", "name"),
        ("? {a: 1}\n: b", "name"),
        ("&x a: 1\n*x : 2", "name"),
        ("a: *b", "nothing"),
        ("a: &a [*a]", "nothing"),
        ('"\\0"', "NUL"),
        ("\x00", "characters"),
        ("a: [", "line 2"),
        ("a: 'x\n", "line"),
        ("--- a\n--- b", "more than one"),
        ("[" * 6, "nested"),
        ("[" * 6 + "]" * 6, "nested"),
        ("a: &a [[[1]]]\nb: [[*a]]", "nested"),
    ],
)
def test_what_json_cannot_say_is_refused(text, reason):
    with pytest.raises(YamlError, match=reason):
        load(text.encode(), LIMITS)


def test_a_strict_reader_refuses_names_twice_aliases_and_more_bytes():
    for text, reason in (
        ("{a: 1, 'a': 2}", "twice"),
        ("[&x 1, *x]", "alias"),
        ("#" * 101, "bytes"),
    ):
        with pytest.raises(YamlError, match=reason):
            load(text.encode(), STRICT)
    with pytest.raises(YamlError, match="UTF-8"):
        load(b"\xff\xfe\xff", STRICT)


def test_aliases_count_with_all_that_they_stand_for():
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(YamlError, match="values"):
        load("\n".join(bomb).encode(), Limits(size=10_000, levels=64, aliases=True))
    # A long text that is said again and again weighs more than its values.
    text = f"a: &a {'x' * 100_000}\nb: [{','.join(['*a'] * 1000)}]"
    with pytest.raises(YamlError, match="characters"):
        load(text.encode(), LIMITS)


def test_a_part_that_is_used_twice_is_two_parts():
    document = load(b"a: &a {b: [1]}\nc: *a", LIMITS)
    document["a"]["b"].append(2)
    assert document["c"] == {"b": [1]}
