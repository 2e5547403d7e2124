"""The last change of what workers remember, visible to every worker of a server at once."""

from __future__ import annotations

import mmap
import time

# Workers are forked and share the page.
_last = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")


def note_change() -> None:
    """Announce to every worker that tokens, people, tenants or rights have changed."""
    _last[0] = time.monotonic_ns()


def last_change() -> int:
    """Return a value that differs after every change."""
    return _last[0]


def note_configuration() -> None:
    """Announce to every worker that there is a new version of the configuration."""
    _last[1] = time.monotonic_ns()


def last_configuration() -> int:
    """Return a value that is another one after every change of the configuration."""
    return _last[1]
