"""Tries and failures counted in Redis or Valkey."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import redis
from limits.errors import StorageError
from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from idp.platform.throttle.store import PREFIX, Delay, Record, State
from idp.platform.throttle.windows import Windows
from idp.setting_values import host_and_port

SENTINEL_PORT = 26379


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

    # All records in one round trip; a script costs less to send and to read than a pipeline.
    _READ = """
    local found = {}
    for _, key in ipairs(KEYS) do
        local record = redis.call('HMGET', key, 'failures', 'until')
        found[#found + 1], found[#found + 2] = record[1] or '', record[2] or ''
    end
    return found
    """

    def __init__(self, url: str) -> None:
        pool = _open_pool(url.replace("valkey", "redis", 1) if url.startswith("valkey") else url)
        self.errors: tuple[type[Exception], ...] = (StorageError, redis.RedisError, OSError)
        self._client: Any = redis.Redis(connection_pool=pool)
        self._fail: Any = self._client.register_script(self._FAIL)
        self._read: Any = self._client.register_script(self._READ)
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

    def examine(self) -> State | None:
        """Return what the server tells about itself; None when it does not answer."""
        try:
            facts = self._client.info("replication") | self._client.info("memory")
            before = time.time()
            seconds, microseconds = self._client.time()
            after = time.time()
        except self.errors:
            return None
        is_limited = bool(facts.get("maxmemory"))
        return State(
            is_master=facts.get("role") == "master",
            evicts=is_limited and facts.get("maxmemory_policy") != "noeviction",
            ahead_seconds=seconds + microseconds / 1_000_000 - (before + after) / 2,
        )

    def hit(self, parts: tuple[str, ...], limit: int, seconds: int, cost: int) -> float:
        """Count a try, or with no cost look at the count; return the seconds to wait."""
        return self._windows.hit(parts, limit, seconds, cost)

    def read(self, *keys: str) -> list[Record]:
        """Return the records of keys, in one step."""
        found = self._read(keys=keys)
        return [
            Record(int(failures or 0), float(until or 0))
            for failures, until in zip(found[::2], found[1::2], strict=True)
        ]

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


def _open_pool(url: str) -> Any:
    limits = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
    # A connection that was cut is opened again; a server that does not answer is not asked twice.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    options = {"retry": retry, "max_connections": 64, "decode_responses": True}
    if "+sentinel" in urlsplit(url).scheme:
        return _open_behind_sentinels(url, limits, options)
    from_url: Any = redis.ConnectionPool.from_url
    return from_url(url, **limits, **options)


def _open_behind_sentinels(url: str, limits: dict[str, Any], options: dict[str, Any]) -> Any:
    """Return connections to whichever server the sentinels name as the master."""
    parts = urlsplit(url)
    userinfo, at, sentinels = parts.netloc.rpartition("@")
    _, name, *database = parts.path.split("/")
    scheme = parts.scheme.partition("+")[0]
    parse: Any = parse_url
    given = parse(f"{scheme}://{userinfo}{at}{name}/{''.join(database)}?{parts.query}")
    del given["host"]
    given["ssl"] = given.pop("connection_class", None) is SSLConnection
    own = {field: given.pop(f"sentinel_{field}", None) for field in ("username", "password")} | {
        field: value for field, value in given.items() if field.startswith("ssl")
    }
    places = [_place(one) for one in sentinels.split(",")]
    make: Any = Sentinel
    manager = make(places, sentinel_kwargs=limits | own)
    pool: Any = SentinelConnectionPool
    return pool(name, manager, **(limits | options | given))


def _place(text: str) -> tuple[str, int]:
    """Return the address of a sentinel, written with or without its port."""
    has_port = text.rpartition("]")[2].count(":") == 1
    return host_and_port(text if has_port else f"{text}:{SENTINEL_PORT}")
