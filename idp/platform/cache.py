"""What a worker remembers, bounded: configuration, and what was read a moment ago."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.platform.changes import last_change, last_configuration
from idp.platform.db import ConfigurationVersion

T = TypeVar("T")

ABSENT = 1024
"""How many invented names are remembered."""
RECENT = 2048
"""How many answers of a moment ago are remembered."""
RECENT_SECONDS = 1.0


class ConfigurationCache:
    """Keeps what was computed from configuration tables until they change.

    `refresh` must be called at the start of a request: it reads the version row and forgets
    everything when it rose. It does so after every change by a worker of this server, and once a
    second for changes that are made elsewhere.
    """

    def __init__(self, *, size: int = 4096, poll_seconds: float = 1.0) -> None:
        self._size = size
        self._poll_seconds = poll_seconds
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._absent: OrderedDict[Hashable, Any] = OrderedDict()
        self._recent: OrderedDict[Hashable, tuple[int, float, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._generation = 0
        self._version = -1
        self._next_poll = 0.0
        self._seen = -1

    def is_due(self) -> bool:
        """Whether the version row should be read now."""
        return last_configuration() != self._seen or time.monotonic() >= self._next_poll

    def refresh(self, session: Session) -> None:
        """Read the version row, when it is time to, and drop what it outdates."""
        if not self.is_due():
            return
        session.connection()  # who may not wait for one leaves the poll to the next request
        self._next_poll = time.monotonic() + self._poll_seconds
        seen = last_configuration()  # before the row: a change in between is looked for again
        version = session.scalar(select(ConfigurationVersion.version)) or 0
        self._seen = seen
        if version != self._version:
            self.clear()
            self._version = version

    def clear(self) -> None:
        """Forget everything, also what is being computed right now."""
        with self._lock:
            self._generation += 1
            self._entries.clear()
            self._absent.clear()
            self._recent.clear()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Give the cached value of a key, computing it when absent."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return cast("T", self._entries[key])
            generation = self._generation
        value = compute()
        with self._lock:
            # What was read before a change must not be kept after it.
            if generation == self._generation:
                self._entries[key] = value
                while len(self._entries) > self._size:
                    self._entries.popitem(last=False)
        return value

    def find(self, key: Hashable, compute: Callable[[], T | None]) -> T | None:
        """Give the cached value of a key that a stranger named, None when there is none.

        What does not exist is remembered on a small shelf of its own, so that invented names push
        nothing useful out.
        """
        with self._lock:
            if key in self._absent:
                return None
            if key in self._entries:
                self._entries.move_to_end(key)
                return cast("T", self._entries[key])
            generation = self._generation
        value = compute()
        shelf, size = (self._absent, ABSENT) if value is None else (self._entries, self._size)
        with self._lock:
            if generation == self._generation:
                shelf[key] = value
                while len(shelf) > size:
                    shelf.popitem(last=False)
        return value

    def recently(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Give a value that was read within the last second, reading it when there is none.

        A change made by any worker of this server, or of configuration, is seen at once; one made
        elsewhere (another server, a command) after a second.
        """
        now, mark = time.monotonic(), last_change()
        with self._lock:
            found = self._recent.get(key)
            generation = self._generation
        if found is not None and found[0] == mark and now < found[1]:
            return cast("T", found[2])
        value = compute()
        with self._lock:
            if generation == self._generation:
                self._recent[key] = (mark, now + RECENT_SECONDS, value)
                self._recent.move_to_end(key)
                while len(self._recent) > RECENT:
                    self._recent.popitem(last=False)
        return value
