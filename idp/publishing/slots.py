"""Slots for requests that wait for other servers: slow servers must not hold every thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from idp.platform.errors import Busy
from idp.platform.translation import N_

AT_ONCE = 2
"""In one process, which answers eight requests at a time: descriptions and gateways together."""
RETRY_SECONDS = 5

_free = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def taken() -> Iterator[None]:
    """Hold one of the slots; raise Busy at once when all are in use."""
    if not _free.acquire(blocking=False):
        raise Busy(N_("Too many requests are waiting for other servers; try again."), RETRY_SECONDS)
    try:
        yield
    finally:
        _free.release()
