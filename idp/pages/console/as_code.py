"""What a page shows, as a command, a request, or a section of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request

QUERY = "code"


@dataclass(frozen=True, slots=True)
class Tab:
    """One way to write it."""

    name: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class AsCode:
    """The ways to write something, and the one that is shown."""

    tabs: Sequence[Tab]
    chosen: Tab

    def address(self, tab: Tab) -> str:
        """Return the address of the page with another way shown, and everything else as it is."""
        return f"?{urlencode({**request.args, QUERY: tab.name})}#as-code"


def of(*tabs: Tab) -> AsCode:
    """Show the way that the address names, else the first."""
    name = request.args.get(QUERY)
    return AsCode(tabs, next((tab for tab in tabs if tab.name == name), tabs[0]))
