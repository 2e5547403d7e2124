"""Colours of a theme: contrast, and the shades that are derived from one accent colour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

LEAST_CONTRAST = 4.5
"""Of text (WCAG 2.2, 1.4.3)."""
WHITE, BLACK = "#ffffff", "#000000"
DARK = "#151d2a"
"""The ground of cards in dark pages."""
LIGHT_GROUNDS = (WHITE, "#f1f4f9", "#f6f8fb", "#f4f7fc", "#dfeafb")
DARK_GROUNDS = (DARK, "#0d131d", "#101722", "#1a2433", "#1a2e50")
"""Grounds that links stand on; the values are those of `idp/static/tokens.css`."""
PALETTES = {
    "blue": "#1f5fbf",
    "green": "#1f6b3a",
    "teal": "#0f6b5c",
    "violet": "#6b3fb5",
    "plum": "#8a2a6b",
    "red": "#a8322a",
    "brown": "#7a4a1e",
    "slate": "#44546a",
}
"""Accent colours by the name of a theme (`theme` of a tenant)."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_OF_DERIVED_TEXT = 6.0
"""Contrast on dark grounds where we choose the colour: a little more than is needed."""
_OF_RINGS = 3.0
"""Contrast of what is no text (WCAG 2.2, 1.4.11)."""
_STEPS = 50


def is_colour(text: str) -> bool:
    """Return whether a text is `#rrggbb` in lower case."""
    return _COLOUR.fullmatch(text) is not None


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=256)
def stylesheet(accent: str, on_dark: str | None = None, *, selector: str = "") -> str:
    """Return the custom properties of a theme as CSS, each with its light and its dark value.

    By default they are set for the whole page.
    """
    lines = [
        f"  --idp-{name}: light-dark({light}, {dark});\n"
        for name, (light, dark) in shades(accent, on_dark).items()
    ]
    return f"{selector or ':root, [data-bs-theme]'} {{\n{''.join(lines)}}}\n"


def shades(accent: str, on_dark: str | None = None) -> dict[str, tuple[str, str]]:
    """Return the light and the dark value of every property of a theme.

    White text is readable on `accent` and `accent-press`, and text of the colour `accent-dark` on
    every ground of its scheme and on `tint`.
    """
    light_tint = _mix(accent, WHITE, 0.92)
    light_text = _until(
        _mix(accent, BLACK, 0.2), BLACK, (*LIGHT_GROUNDS, light_tint), LEAST_CONTRAST
    )
    least = LEAST_CONTRAST if on_dark else _OF_DERIVED_TEXT
    dark_text = _until(on_dark or accent, WHITE, DARK_GROUNDS, least)
    button = _lightest(accent, WHITE, LEAST_CONTRAST)
    return {
        "accent": (accent, button),
        "accent-dark": (light_text, dark_text),
        "accent-press": (_mix(accent, BLACK, 0.2), _mix(button, BLACK, 0.15)),
        "tint": (light_tint, _ground(accent, dark_text)),
        "glow": (_mix(accent, WHITE, 0.82), _mix(accent, "#0d131d", 0.75)),
        "ring": (
            _lightest(accent, WHITE, _OF_RINGS),
            _until(accent, WHITE, DARK_GROUNDS, _OF_RINGS),
        ),
    }


def _until(colour: str, towards: str, grounds: Sequence[str], least: float) -> str:
    """Return the first mix with another colour that has enough contrast on every ground."""
    for step in range(_STEPS):
        mixed = _mix(colour, towards, step / _STEPS)
        if all(contrast(mixed, ground) >= least for ground in grounds):
            return mixed
    return towards


def _lightest(colour: str, ground: str, least: float) -> str:
    """Return the lightest mix with white that still has enough contrast on a ground."""
    mixes = (_mix(colour, WHITE, step / _STEPS) for step in range(_STEPS, 0, -1))
    return next((mixed for mixed in mixes if contrast(mixed, ground) >= least), colour)


def _ground(accent: str, text: str) -> str:
    """Return the dark ground with as much of a colour as text on it allows."""
    mixes = (_mix(DARK, accent, step / _STEPS) for step in range(15, 0, -1))
    return next((mixed for mixed in mixes if contrast(mixed, text) >= LEAST_CONTRAST), DARK)


def _mix(colour: str, other: str, part: float) -> str:
    """Return a colour with a part of another one."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * part):02x}" for one, two in pairs)


def _luminance(colour: str) -> float:
    linear = (_linear(channel / 255) for channel in _channels(colour))
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB


def _channels(colour: str) -> tuple[int, int, int]:
    if not is_colour(colour):
        message = f"not a colour: {colour!r}"
        raise ValueError(message)
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:], 16)
