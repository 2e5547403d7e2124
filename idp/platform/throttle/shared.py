"""Tries and failures counted in Redis or Valkey."""

from __future__ import annotations

from typing import Any

import redis
from limits.errors import StorageError
from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

from idp.platform.throttle.store import PREFIX, Delay, Record
from idp.platform.throttle.windows import Windows


class SharedStore:
    """Delays and limits in Redis or Valkey."""

    # Counts, then sets the wait in the same step: two failures at once both count.
    _FAIL = """
    local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
    local free, longest, forget, now = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
    local wait = 0
    if failures >= free then wait = math.min(longest, 2 ^ math.min(failures - free, 20)) end
    redis.call('HSET', KEYS[1], 'until', string.format('%.6f', tonumber(now) + wait))
    redis.call('EXPIRE', KEYS[1], tonumber(forget) + wait)
    return failures
    """

    def __init__(self, url: str) -> None:
        pool: Any = redis.ConnectionPool.from_url(
            url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
            socket_timeout=0.5,
            socket_connect_timeout=0.5,
            retry=Retry(NoBackoff(), 1),
            max_connections=64,
            decode_responses=True,
        )
        self.errors: tuple[type[Exception], ...] = (StorageError, redis.RedisError, OSError)
        self._client: Any = redis.Redis(connection_pool=pool)
        self._fail: Any = self._client.register_script(self._FAIL)
        self._windows = Windows(
            RedisStorage(
                "redis://",
                connection_pool=pool,
                key_prefix=f"{PREFIX}:limit",
                wrap_exceptions=True,
            )
        )

    def ping(self) -> bool:
        """Ask whether it answers."""
        try:
            return bool(self._client.ping())
        except self.errors:
            return False

    def hit(self, parts: tuple[str, ...], limit: int, seconds: int, cost: int) -> float:
        """Count a try, or with no cost look at the count; return the seconds to wait."""
        return self._windows.hit(parts, limit, seconds, cost)

    def read(self, key: str) -> Record:
        """Return the record of a key."""
        failures, until = self._client.hmget(key, "failures", "until")
        return Record(int(failures or 0), float(until or 0))

    def fail(self, key: str, delay: Delay, now: float) -> None:
        """Count a failure and set the wait it earns."""
        self._fail(keys=[key], args=[delay.free, delay.longest, delay.forget, f"{now:.6f}"])

    def forget(self, *keys: str) -> None:
        """Drop records."""
        self._client.delete(*keys)

    def claim(self, key: str, value: float, seconds: int) -> float | None:
        """Store a value where there is none; return the value that was there before."""
        kept = self._client.set(key, f"{value:.6f}", nx=True, get=True, ex=seconds)
        return None if kept is None else float(kept)
