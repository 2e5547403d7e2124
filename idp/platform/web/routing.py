"""Routes that answer GET and not HEAD, and are quick to add."""

from __future__ import annotations

from collections.abc import Callable
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

    def _compile_builder(self, *unknown: bool) -> Callable[..., tuple[str, str]]:
        """Return what builds addresses of this route, which is compiled when it is first called.

        No address is ever built of most of a thousand routes, and to compile that takes longer than
        all else about them.
        """
        compile_now = super()._compile_builder
        build: Callable[..., tuple[str, str]] | None = None

        def build_first(route: Route, **values: Any) -> tuple[str, str]:
            nonlocal build
            if build is None:
                build = compile_now(*unknown)
            return build(route, **values)

        return build_first
