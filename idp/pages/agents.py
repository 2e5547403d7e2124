"""Names of browsers and systems, read from the `User-Agent` header."""

from __future__ import annotations

import re

# The first that occurs wins: later browsers carry the names of earlier ones.
_BROWSERS = (
    ("MicroMessenger/", "WeChat"),
    ("DingTalk/", "DingTalk"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_VERSIONS = {"Safari/": "Version/"}
"""Marks before the version, where it is not the one before the name."""
_VERSION = re.compile(r"[A-Za-z]{0,3}/?([0-9]{1,4})")
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def describe(user_agent: str | None) -> tuple[str | None, str | None]:
    """Return browser with its main version, and system; None for an unknown one."""
    text = user_agent or ""
    browser = next(
        (_with_version(text, mark, name) for mark, name in _BROWSERS if mark in text), None
    )
    system = next((name for mark, name in _SYSTEMS if mark in text), None)
    return browser, system


def _with_version(text: str, mark: str, name: str) -> str:
    """Return the name of a browser with its version, by which people tell two of a kind apart."""
    _, found, after = text.partition(_VERSIONS.get(mark, mark))
    version = _VERSION.match(after) if found else None
    return f"{name} {version[1]}" if version else name
