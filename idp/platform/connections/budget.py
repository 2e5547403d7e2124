"""How long one request may wait for the database, in all of its waits together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOOP_SECONDS = 10.0
LOOP_WAIT_SECONDS = 5.0
"""For a request on the event loop, and for each of its waits, on threads as well."""
THREAD_SECONDS = 15.0
"""For a request on a thread, whose single waits end after 10 seconds."""
LEAST_SECONDS = 0.05
"""What a wait gets when nothing is left; a server that is well answers sooner."""


class Budget:
    """The seconds that are left; time that a request spends otherwise does not count."""

    __slots__ = ("each", "left")

    def __init__(self, seconds: float = LOOP_SECONDS, each: float = LOOP_SECONDS) -> None:
        self.left = seconds
        self.each = each
        """What a single wait may take at most."""

    def limit(self, seconds: float | None) -> float:
        """Return what a wait may take that has a limit of its own."""
        most = min(self.each, self.left)
        return max(LEAST_SECONDS, most if seconds is None else min(seconds, most))

    def spend(self, since: float) -> None:
        """Take off what a wait took that began at a moment of the monotonic clock."""
        self.left -= time.monotonic() - since


_CURRENT: ContextVar[Budget | None] = ContextVar("budget", default=None)
"""Of the request that has this thread. Requests on the event loop are given theirs by hand."""


@contextmanager
def spending(budget: Budget) -> Iterator[None]:
    """Have the waits of this thread spend a budget."""
    token = _CURRENT.set(budget)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Budget | None:
    """Return the budget of the request that has this thread; None outside of requests."""
    return _CURRENT.get()
