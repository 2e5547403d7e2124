"""Colours of themes: contrast as WCAG measures it, and shades on which text can be read."""

from __future__ import annotations

import random
import re

import pytest

from idp import colours
from idp.platform.files import package_dir

pytestmark = pytest.mark.no_database

PROPERTY = r"  --idp-[a-z-]+: light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\);\n"
RANDOM = random.Random(4)


def colour():
    return f"#{RANDOM.randrange(1 << 24):06x}"


ACCENTS = ["#000000", "#767676", *colours.PALETTES.values(), *(colour() for _ in range(150))]


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_that_of_wcag(one, other, ratio):
    assert round(colours.contrast(one, other), 2) == ratio
    assert colours.contrast(other, one) == colours.contrast(one, other)


def test_text_can_be_read_on_every_shade_of_every_colour_that_is_accepted():
    accepted = [one for one in ACCENTS if colours.contrast(one, colours.WHITE) >= 4.5]
    assert len(accepted) > 40
    for accent in accepted:
        light, dark = (
            {name: pair[scheme] for name, pair in colours.shades(accent).items()}
            for scheme in (0, 1)
        )
        assert light["accent"] == accent
        for shown, grounds in ((light, colours.LIGHT_GROUNDS), (dark, colours.DARK_GROUNDS)):
            for button in ("accent", "accent-press"):
                assert colours.contrast("#ffffff", shown[button]) >= 4.5, accent
            for ground in (*grounds, shown["tint"]):
                assert colours.contrast(shown["accent-dark"], ground) >= 4.5, (accent, ground)
        assert colours.contrast(light["ring"], "#ffffff") >= 3
        assert colours.contrast(dark["ring"], colours.DARK) >= 3


def test_a_colour_for_dark_pages_is_used_there_and_made_readable_on_all_grounds():
    assert colours.shades("#0f6b5c", "#ffd166")["accent-dark"][1] == "#ffd166"
    barely = "#7b7f86"
    assert 4.0 < colours.contrast(barely, colours.DARK) < 5
    text = colours.shades("#0f6b5c", barely)["accent-dark"][1]
    assert all(colours.contrast(text, ground) >= 4.5 for ground in colours.DARK_GROUNDS)


def test_every_named_palette_is_accepted():
    for accent in colours.PALETTES.values():
        assert colours.contrast(accent, colours.WHITE) >= 4.5


def test_the_grounds_are_those_of_the_style_sheet():
    css = (package_dir() / "static/tokens.css").read_text().replace("#fff,", "#ffffff,")
    for name, light, dark in (
        ("card", 0, 0),
        ("canvas", 1, 1),
        ("sunken", 2, 2),
        ("hover", 3, 3),
        ("chosen", 4, 4),
    ):
        pair = f"{colours.LIGHT_GROUNDS[light]}, {colours.DARK_GROUNDS[dark]}"
        assert f"--idp-{name}: light-dark({pair});" in css


def test_a_style_sheet_holds_custom_properties_alone():
    css = colours.stylesheet("#0f6b5c")
    assert re.fullmatch(rf":root, \[data-bs-theme\] {{\n({PROPERTY}){{6}}}}\n", css)
    assert set(re.findall(r"--idp-([a-z-]+):", css)) == {
        "accent",
        "accent-dark",
        "accent-press",
        "tint",
        "glow",
        "ring",
    }


@pytest.mark.parametrize(
    "bad",
    ["", "red", "#fff", "#0F6B5C", "#0f6b5c;", "#0f6b5c}", "#0f6b5\n", "#0f6b5c\n", "#\u0660f6b5c"],
)
def test_what_is_no_colour_gets_into_no_style_sheet(bad):
    assert not colours.is_colour(bad)
    with pytest.raises(ValueError):
        colours.stylesheet(bad)
