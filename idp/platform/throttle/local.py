"""Tries and failures counted in the process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from idp.platform import clock
from idp.platform.throttle.store import Delay, Record

MAX_RECORDS = 100_000


class LocalStore:
    """Limits and delays of this process, bounded in number."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str | int, ...], tuple[int, float]] = OrderedDict()
        """How many tries there were, and when (seconds since the epoch) they are forgotten."""
        self._records: OrderedDict[str, tuple[Record, float]] = OrderedDict()
        self._lock = threading.Lock()

    def hit(self, parts: tuple[str, ...], limit: int, seconds: int, cost: int) -> float:
        """Count a try, or with no cost look at the count; return the seconds to wait.

        The library `limits` would start a thread to forget what it counted.
        """
        key: tuple[str | int, ...] = (*parts, limit, seconds)
        now = time.time()
        with self._lock:
            count, ends_at = self._windows.get(key, (0, 0.0))
            if ends_at <= now:
                count, ends_at = 0, now + seconds
            is_within = count + cost <= limit if cost else count < limit
            if cost:
                self._windows[key] = count + cost, ends_at
                if count == 0:
                    self._windows.move_to_end(key)
                    self._forget_windows(now)
        return 0.0 if is_within else max(1.0, ends_at - now)

    def _forget_windows(self, now: float) -> None:
        """Forget the windows that began first: those that are over, and those beyond the bound."""
        while len(self._windows) > 1:
            key, (_, ends_at) = next(iter(self._windows.items()))
            if ends_at > now and len(self._windows) <= MAX_RECORDS:
                return
            del self._windows[key]

    def read(self, *keys: str) -> list[Record]:
        """Return the records of keys, in one step."""
        with self._lock:
            return [self._find(key) or Record(0, 0.0) for key in keys]

    def fail(self, key: str, delay: Delay, now: float) -> None:
        """Count a failure and set the wait it earns."""
        with self._lock:
            failures = (self._find(key) or Record(0, 0.0)).failures + 1
            wait = delay.after(failures)
            self._put(key, Record(failures, now + wait), delay.forget + wait)

    def forget(self, *keys: str) -> None:
        """Drop records."""
        with self._lock:
            for key in keys:
                self._records.pop(key, None)

    def claim(self, key: str, value: float, seconds: int) -> float | None:
        """Store a value where there is none; return the value that was there before."""
        with self._lock:
            found = self._find(key)
            if found is not None:
                return found.until
            self._put(key, Record(0, value), seconds)
            return None

    def since_last(self, key: str, keep: int) -> float | None:
        """Store the time; return the seconds since the time that was there before."""
        now = clock.now().timestamp()
        with self._lock:
            found = self._find(key)
            self._put(key, Record(0, now), keep)
            return None if found is None else now - found.until

    def _find(self, key: str) -> Record | None:
        found = self._records.get(key)
        if found is None or found[1] <= clock.now().timestamp():
            return None
        return found[0]

    def _put(self, key: str, record: Record, seconds: int) -> None:
        self._records[key] = (record, clock.now().timestamp() + seconds)
        self._records.move_to_end(key)
        while len(self._records) > MAX_RECORDS:
            self._records.popitem(last=False)
