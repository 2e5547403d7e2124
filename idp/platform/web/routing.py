"""Routes that answer GET and not HEAD."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import Rule


class Route(Rule):
    """A route; `head=False` where a GET changes something.

    RFC 9110 9.3.2: programs send HEAD to look at an address without opening it. 405 answers them
    before anything happens.
    """

    def __init__(self, *arguments: Any, head: bool = True, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not head and self.methods is not None:
            self.methods.discard("HEAD")
