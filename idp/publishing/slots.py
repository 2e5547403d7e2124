"""Few requests wait for other servers at a time: slow ones must not hold every thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from idp.platform.errors import Busy

AT_ONCE = 2
"""In one process, which answers eight requests at a time: descriptions and gateways together."""
RETRY_SECONDS = 5

_free = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def taken() -> Iterator[None]:
    """Hold one of the slots; Busy when there is none, without waiting."""
    if not _free.acquire(blocking=False):
        raise Busy("Too much is being asked of other servers; try again.", RETRY_SECONDS)
    try:
        yield
    finally:
        _free.release()
