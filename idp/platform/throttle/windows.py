"""Tries within a time, counted by the library `limits`."""

from __future__ import annotations

import time

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter


class Windows:
    """Fixed windows in a storage of `limits`."""

    def __init__(self, storage: Storage) -> None:
        self._limiter = FixedWindowRateLimiter(storage)

    def hit(self, parts: tuple[str, ...], limit: int, seconds: int, cost: int) -> float:
        """Count a try, or with no cost look at the count; return the seconds to wait."""
        item = RateLimitItemPerSecond(limit, seconds)
        limiter = self._limiter
        if limiter.hit(item, *parts, cost=cost) if cost else limiter.test(item, *parts):
            return 0.0
        return max(1.0, limiter.get_window_stats(item, *parts).reset_time - time.time())
