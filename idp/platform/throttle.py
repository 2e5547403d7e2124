"""Counters against guessing and flooding: in Valkey when there is one, else in the process.

When Valkey does not answer, counting goes on in the process: slower guessing is lost, never all
of it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import structlog

from idp.platform import clock
from idp.platform.errors import TooManyRequests

if TYPE_CHECKING:
    from limits.strategies import FixedWindowRateLimiter

    from idp.platform.runtime import RequestContext

log = structlog.get_logger("idp.throttle")

T = TypeVar("T")

PREFIX = "idp"
SLOT_SECONDS = 5
TICKET_SECONDS = 3600
RETRY_SECONDS = 1.0
MAX_RECORDS = 100_000
MAX_DOUBLINGS = 20
IPV6_NETWORKS = (64, 56, 48)
"""What one visitor may have of IPv6, narrowest first: a line, a home, a site."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody comes from, counted by the networks that a visitor can move in."""

    text: str
    within: str = ""
    """Whose word it is, where a client hands on the address of a person; "" for what we see."""

    @classmethod
    def of(cls, text: str | None, within: str = "") -> Address:
        """Take an address as it was seen; None where there is none."""
        return cls(text or "-", within)

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that it is in, narrowest first; of IPv4 only itself."""
        try:
            parsed = ipaddress.ip_address(self.text)
        except ValueError:
            return (self._named(self.text),)
        if isinstance(parsed, ipaddress.IPv4Address):
            return (self._named(str(parsed)),)
        if parsed.ipv4_mapped is not None:
            return (self._named(str(parsed.ipv4_mapped)),)
        return tuple(
            self._named(str(ipaddress.ip_network((parsed, bits), strict=False)))
            for bits in IPV6_NETWORKS
        )

    def _named(self, network: str) -> str:
        return f"{self.within}\0{network}" if self.within else network


Key = str | Address
"""What is counted by. Text is taken as it is: an address must come as an Address."""


def origin(context: RequestContext) -> Key:
    """Return where a request comes from, as tries are counted by.

    The address of a machine says nothing about the people whom it acts for. It stands for all of
    them, unless it hands on where each of them is; that is its word, which counts for itself alone.
    """
    if context.client_id is None or context.user_id is not None:
        return Address.of(context.remote_addr)
    if context.end_user_addr is not None:
        return Address(context.end_user_addr, within=context.client_id)
    return f"client {context.client_id}"


@dataclass(frozen=True, slots=True)
class Delay:
    """How the wait grows: nothing for the first failures, then 1, 2, 4 … seconds."""

    free: int
    longest: int
    forget: int = 3600

    def after(self, failures: int) -> int:
        """Tell the seconds to wait after so many failures."""
        if failures < self.free:
            return 0
        return int(min(self.longest, 2 ** min(failures - self.free, MAX_DOUBLINGS)))


TOGETHER = Delay(free=5, longest=900)
"""One account from one address."""
SUBJECT = Delay(free=20, longest=60)
"""One account from anywhere; whoever waited once is let through (see `check_delay`)."""
ADDRESS = Delay(free=30, longest=300)
"""Any account from one address; a wider network of IPv6 has more free failures (`_widened`)."""


class Record(NamedTuple):
    """Failures so far, and until when (seconds since the epoch) to wait."""

    failures: int
    until: float


class Store(Protocol):
    """Where tries and failures are counted."""

    @property
    def limiter(self) -> FixedWindowRateLimiter:
        """Counts tries within a time."""

    def read(self, key: str) -> Record:
        """Give the record of a key."""

    def fail(self, key: str, delay: Delay, now: float) -> None:
        """Count a failure and set the wait it earns."""

    def forget(self, *keys: str) -> None:
        """Drop records."""

    def claim(self, key: str, value: float, seconds: int) -> float | None:
        """Store a value where there is none; give the value that was there before."""


class Throttle:
    """Limits and growing delays, by name and key; keys are stored as hashes."""

    def __init__(self, redis_url: str = "") -> None:
        self._local = LocalStore()
        self._shared = SharedStore(redis_url) if redis_url else None
        self._down_until = 0.0

    def is_reachable(self) -> bool:
        """Ask the shared store whether it answers; True when there is none to ask."""
        return self._shared is None or self._shared.ping()

    def hit(
        self, name: str, key: Key | tuple[Key, ...], limit: int, seconds: int, *, cost: int = 1
    ) -> None:
        """Count a try; TooManyRequests past `limit` tries within so many seconds.

        Several keys are counted together, as one. A wider network of IPv6 has twice the limit of
        the one in it; what a narrow one is refused does not count for the wider.
        """
        for text, factor in _counted(key):
            wait = self._count(partial(_hit, name, text, limit * factor, seconds, cost))
            if wait:
                raise TooManyRequests(_seconds(wait))

    def check(self, name: str, key: Key | tuple[Key, ...], limit: int, seconds: int) -> None:
        """Refuse as `hit` would, and count nothing."""
        for text, factor in _counted(key):
            wait = self._count(partial(_hit, name, text, limit * factor, seconds, 0))
            if wait:
                raise TooManyRequests(_seconds(wait))

    def check_delay(self, name: str, *keys: Key) -> None:
        """Refuse while the delay that earlier failures earned is running.

        The first key is the account, the last one the address that it is tried from, or the client
        that speaks for people whose address it does not tell. Their combination waits longest; an
        address waits by itself too, a client never does. An account that fails from everywhere
        makes new addresses wait once, for a time that further failures elsewhere do not extend: a
        stranger slows its owner down and cannot lock them out.
        """
        self._count(lambda store: _check(store, name, keys))

    def withdraw(self, name: str, *keys: Key) -> None:
        """Forget that a try is under way: its proof was not looked at."""
        self._count(lambda store: store.forget(_slot(name, keys)))

    def failed(self, name: str, *keys: Key) -> None:
        """Count a failure."""
        now = clock.now().timestamp()

        def count(store: Store) -> None:
            for key, delay in _records(name, keys):
                store.fail(key, delay, now)
            store.forget(_slot(name, keys))

        self._count(count)

    def succeeded(self, name: str, *keys: Key) -> None:
        """Forget the failures of the account; those of the address only age.

        Else somebody with an account of his own could try others in between.
        """
        together, *single = (key for key, _ in _records(name, keys))
        names = (together, _slot(name, keys), *single[:1])
        self._count(lambda store: store.forget(*names))
        self._local.forget(*names)

    def _count(self, action: Callable[[Store], T]) -> T:
        """Count in the shared store, or here while it does not answer."""
        if self._shared is None or time.monotonic() < self._down_until:
            return action(self._local)
        try:
            return action(self._shared)
        except self._shared.errors as error:
            self._down_until = time.monotonic() + RETRY_SECONDS
            log.warning("throttle_store_unreachable", error=type(error).__name__)
            return action(self._local)


class LocalStore:
    """Delays of this process, bounded in number."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, tuple[Record, float]] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def limiter(self) -> FixedWindowRateLimiter:
        """Counts tries within a time, in this process."""
        from limits.storage import MemoryStorage  # noqa: PLC0415 - as in `Throttle.hit`
        from limits.strategies import FixedWindowRateLimiter  # noqa: PLC0415

        return FixedWindowRateLimiter(MemoryStorage())

    def read(self, key: str) -> Record:
        """Give the record of a key."""
        with self._lock:
            return self._find(key) or Record(0, 0.0)

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
        """Store a value where there is none; give the value that was there before."""
        with self._lock:
            found = self._find(key)
            if found is not None:
                return found.until
            self._put(key, Record(0, value), seconds)
            return None

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
        import redis  # noqa: PLC0415 - a quarter of a second that most installations never need
        from limits.errors import StorageError  # noqa: PLC0415
        from limits.storage import RedisStorage  # noqa: PLC0415
        from limits.strategies import FixedWindowRateLimiter  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

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
        self.limiter = FixedWindowRateLimiter(
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

    def read(self, key: str) -> Record:
        """Give the record of a key."""
        failures, until = self._client.hmget(key, "failures", "until")
        return Record(int(failures or 0), float(until or 0))

    def fail(self, key: str, delay: Delay, now: float) -> None:
        """Count a failure and set the wait it earns."""
        self._fail(keys=[key], args=[delay.free, delay.longest, delay.forget, f"{now:.6f}"])

    def forget(self, *keys: str) -> None:
        """Drop records."""
        self._client.delete(*keys)

    def claim(self, key: str, value: float, seconds: int) -> float | None:
        """Store a value where there is none; give the value that was there before."""
        kept = self._client.set(key, f"{value:.6f}", nx=True, get=True, ex=seconds)
        return None if kept is None else float(kept)


def _hit(name: str, text: str, limit: int, seconds: int, cost: int, store: Store) -> float:
    """Count a try, or with no cost look at the count; return the seconds to wait, 0 for none."""
    from limits import RateLimitItemPerSecond  # noqa: PLC0415 - not before somebody counts

    item = RateLimitItemPerSecond(limit, seconds)
    parts = (name, _hashed(text))
    passes = (
        store.limiter.hit(item, *parts, cost=cost) if cost else store.limiter.test(item, *parts)
    )
    if passes:
        return 0.0
    return max(1.0, store.limiter.get_window_stats(item, *parts).reset_time - time.time())


def _check(store: Store, name: str, keys: tuple[Key, ...]) -> None:
    now = clock.now().timestamp()
    (together, strict), *single = _records(name, keys)
    failures, until = store.read(together)
    if until > now:
        raise TooManyRequests(_seconds(until - now))
    for position, (key, _) in enumerate(single):
        until = store.read(key).until
        if until > now and position == 0:
            # The ticket holds when this address may try, fixed at its first visit.
            kept = store.claim(f"{together}:ticket", until, TICKET_SECONDS)
            until = until if kept is None else kept
        if until > now:
            raise TooManyRequests(_seconds(until - now))
    # Past the free tries one attempt at a time: parallel ones would all pass the check above.
    if failures >= strict.free and store.claim(_slot(name, keys), now, SLOT_SECONDS) is not None:
        raise TooManyRequests(1)


def _counted(key: Key | tuple[Key, ...]) -> list[tuple[str, int]]:
    """List the texts that a key is counted by, each with the factor of its limit."""
    parts = key if isinstance(key, tuple) else (key,)
    found = [("", 1)]
    for part in parts:
        texts = part.networks if isinstance(part, Address) else (part,)
        found = [
            (f"{before}\0{text}" if before else text, factor * 2**width)
            for before, factor in found
            for width, text in enumerate(texts)
        ]
    return found


def _records(name: str, keys: tuple[Key, ...]) -> list[tuple[str, Delay]]:
    """List the records that a try belongs to: the combination first, then each key alone."""
    *subjects, last = keys or ("-",)
    networks = last.networks if isinstance(last, Address) else ()
    narrowest = networks[0] if networks else str(last)
    together = "\0".join((*map(str, subjects), narrowest))
    return [
        (f"{PREFIX}:delay:{name}:{_hashed(together)}", TOGETHER),
        *((f"{PREFIX}:delay:{name}:subject:{_hashed(str(key))}", SUBJECT) for key in subjects),
        *(
            (f"{PREFIX}:delay:{name}:address:{_hashed(network)}", _widened(ADDRESS, width))
            for width, network in enumerate(networks)
        ),
    ]


def _widened(delay: Delay, width: int) -> Delay:
    """Double the free failures for each step to a wider network."""
    return replace(delay, free=delay.free * 2**width)


def _slot(name: str, keys: tuple[Key, ...]) -> str:
    return f"{_records(name, keys)[0][0]}:slot"


def _hashed(key: str) -> str:
    # Keys are names and addresses of people: not for the eyes of whoever reads the store.
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _seconds(wait: float) -> int:
    return max(1, math.ceil(wait))
