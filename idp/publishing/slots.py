"""Few descriptions are fetched at a time: slow hosts must not hold every thread that answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from idp.platform.errors import Unavailable

AT_ONCE = 3
"""In one process, which answers eight requests at a time."""
RETRY_SECONDS = 5

_free = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def taken() -> Iterator[None]:
    """Hold one of the slots; Unavailable when there is none, without waiting."""
    if not _free.acquire(blocking=False):
        raise Unavailable(
            "So many descriptions are being fetched that no more are taken; try again.",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    try:
        yield
    finally:
        _free.release()
