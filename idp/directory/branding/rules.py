"""The rules of branding: what a tenant may set, and why something is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from idp import colours
from idp.platform.errors import BadRequest
from idp.platform.translation import N_

LANGUAGES = ("en", "zh")
PLACES = ("sign_in", "register", "mail")
"""Where a text stands: on the page for sign-in, for registration, at the end of every mail."""
LONGEST_NAME = 200
LONGEST_LINK = 2000
LONGEST_TEXT = 500

NAME_WRONG = N_("A name must have 1 to 200 printable characters.")
COLOUR_WRONG = N_("A colour has the form #rrggbb, such as #1f5fbf.")
TOO_LIGHT = N_(
    "The contrast with white is below 4.5:1, so buttons could not be read. Choose a darker colour."
)
TOO_DARK = N_(
    "The contrast with the dark background is below 4.5:1, so links could not be read."
    " Choose a lighter colour."
)
LINK_WRONG = N_("A link must be an https address of at most 2000 characters.")
TEXT_WRONG = N_("A text must have at most 500 printable characters, on one line.")
TEXT_UNKNOWN = N_("There is no text of this name.")


@dataclass(frozen=True, slots=True)
class BrandingSpec:
    """All values of a branding; None or an empty text: the default."""

    name: str | None = None
    accent: str | None = None
    accent_dark: str | None = None
    logo: str | None = None
    icon: str | None = None
    help_uri: str | None = None
    privacy_uri: str | None = None
    imprint_uri: str | None = None
    texts: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)


def checked(spec: BrandingSpec) -> dict[str, Any]:
    """Return the values of a branding by column, without its pictures; name all that is wrong."""
    values: dict[str, Any] = {}
    wrong: dict[str, list[str]] = {}
    for name, check in _CHECKS.items():
        text = (getattr(spec, name) or "").strip()
        problem = check(text) if text else None
        if problem is not None:
            wrong[name] = [problem]
        values[name] = (text.lower() if name.startswith("accent") else text) or None
    values["texts"] = _texts(spec.texts, wrong)
    if wrong:
        raise BadRequest(next(iter(wrong.values()))[0], fields=wrong)
    return values


def _name(text: str) -> str | None:
    return None if len(text) <= LONGEST_NAME and text.isprintable() else NAME_WRONG


def _accent(text: str) -> str | None:
    return _contrast(text, colours.WHITE, TOO_LIGHT)


def _accent_dark(text: str) -> str | None:
    return _contrast(text, colours.DARK, TOO_DARK)


def _contrast(text: str, ground: str, message: str) -> str | None:
    colour = text.lower()
    if not colours.is_colour(colour):
        return COLOUR_WRONG
    return message if colours.contrast(colour, ground) < colours.LEAST_CONTRAST else None


def link_problem(text: str) -> str | None:
    """Return why pages must not link to an address; None: they may."""
    try:
        parts = urlsplit(text if len(text) <= LONGEST_LINK else "")
        is_plain = parts.scheme == "https" and parts.hostname and not parts.username
        is_plain = is_plain and parts.port != 0
    except ValueError:
        return LINK_WRONG
    is_clean = text.isprintable() and not any(letter in text for letter in " \"'<>\\`")
    return None if is_plain and is_clean else LINK_WRONG


def _texts(
    given: Mapping[str, Mapping[str, str | None]], wrong: dict[str, list[str]]
) -> dict[str, dict[str, str]]:
    """Return the texts that are not empty, and note those that are wrong by their paths."""
    kept: dict[str, dict[str, str]] = {}
    for language, of_language in given.items():
        for place, raw in of_language.items():
            text = (raw or "").strip()
            path = f"texts.{language}.{place}"
            if language not in LANGUAGES or place not in PLACES:
                wrong[path] = [TEXT_UNKNOWN]
            elif len(text) > LONGEST_TEXT or not text.isprintable():
                wrong[path] = [TEXT_WRONG]
            elif text:
                kept.setdefault(language, {})[place] = text
    return kept


_CHECKS: dict[str, Callable[[str], str | None]] = {
    "name": _name,
    "accent": _accent,
    "accent_dark": _accent_dark,
    "help_uri": link_problem,
    "privacy_uri": link_problem,
    "imprint_uri": link_problem,
}
