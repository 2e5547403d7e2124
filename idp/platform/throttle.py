"""Counters against guessing and flooding (first version: in the process)."""

from __future__ import annotations

import time
from threading import Lock

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from idp.platform.errors import TooManyRequests


class Throttle:
    """Counts tries."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._delays: dict[str, tuple[int, float]] = {}
        self._lock = Lock()

    def hit(self, name: str, key: str, limit: int, seconds: int) -> None:
        """Count a try; TooManyRequests past the limit."""
        item = RateLimitItemPerSecond(limit, seconds)
        if not self._limiter.hit(item, name, key):
            reset = self._limiter.get_window_stats(item, name, key).reset_time
            raise TooManyRequests(int(reset - time.time()) + 1)

    def check_delay(self, name: str, *keys: str) -> None:
        """Refuse while the delay that earlier failures earned is running."""
        _, until = self._delays.get(":".join((name, *keys)), (0, 0.0))
        if until > time.time():
            raise TooManyRequests(int(until - time.time()) + 1)

    def failed(self, name: str, *keys: str) -> None:
        """Count a failure."""
        key = ":".join((name, *keys))
        with self._lock:
            count = self._delays.get(key, (0, 0.0))[0] + 1
            wait = 2 ** (count - 4) if count > 4 else 0  # noqa: PLR2004
            self._delays[key] = (count, time.time() + wait)

    def succeeded(self, name: str, *keys: str) -> None:
        """Forget the failures."""
        with self._lock:
            self._delays.pop(":".join((name, *keys)), None)
