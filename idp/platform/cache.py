"""What a worker remembers, bounded: configuration, and what was read a moment ago."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from enum import Enum, auto
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.platform.changes import last_change, last_configuration
from idp.platform.db import ConfigurationVersion, Query, has_changed_configuration
from idp.platform.errors import Unavailable
from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import CACHE_LOOKUPS, CONFIGURATION_AGE
from idp.platform.translation import N_

P = ParamSpec("P")
T = TypeVar("T")

ABSENT = 1024
"""How many invented names are remembered."""
RECENT = 2048
"""How many answers of a moment ago are remembered."""
RECENT_SECONDS = 1.0
SERVED_SECONDS = 60.0
"""How long configuration is served that could not be looked at again."""


class Missing(Enum):
    """The one value that is never cached."""

    MISSING = auto()


MISSING = Missing.MISSING

_VERSION = select(ConfigurationVersion.version)


class ConfigurationCache:
    """Keeps what was computed from configuration tables until they change.

    `refresh` must be called at the start of a request: it reads the version row and forgets
    everything when it rose. It does so after every change by a worker of this server, and once a
    second for changes that are made elsewhere. While the row cannot be read, what is cached is
    served for a minute, unless a change is known that it does not show.
    """

    def __init__(self, *, size: int = 4096, poll_seconds: float = 1.0) -> None:
        self._size = size
        self._poll_seconds = poll_seconds
        # Looked into without the lock.
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._absent: OrderedDict[Hashable, Any] = OrderedDict()
        self._recent: OrderedDict[Hashable, tuple[int, float, Any]] = OrderedDict()
        self._computing: dict[Hashable, asyncio.Future[Any]] = {}
        """What a request of the event loop computes, by generation and key."""
        self._lock = threading.Lock()
        self._generation = 0
        self._version = -1
        self._next_poll = 0.0
        self._seen = -1
        self._read_at = time.monotonic()
        self._fails = False
        self._refused_until = 0.0
        # Raised without the lock: a few that go uncounted do not matter.
        self._hits = self._misses = 0

    def is_due(self) -> bool:
        """Return whether the version row should be read now."""
        return last_configuration() != self._seen or time.monotonic() >= self._next_poll

    async def refresh(self, read_one: Callable[[Query, dict[str, Any]], Awaitable[Any]]) -> None:
        """Read the version row, and drop what it outdates; call it when `is_due`.

        Raise Unavailable when it cannot be read and what is cached is too old.
        """
        now = time.monotonic()
        if now < self._refused_until:
            raise _outdated()
        self._next_poll = min(now + self._poll_seconds, self._read_at + SERVED_SECONDS)
        seen = last_configuration()  # before the row: a change in between is looked for again
        try:
            row = await read_one(_VERSION, {})
        except Exception as error:
            self._fails = True
            is_known = seen == self._seen and time.monotonic() < self._read_at + SERVED_SECONDS
            if is_known and isinstance(error, Unavailable):
                return
            if not is_known:
                self._refused_until = time.monotonic() + self._poll_seconds
            raise
        self._read_at, self._fails = now, False
        self._next_poll = now + self._poll_seconds
        self._seen = seen
        version = 0 if row is None else row[0]
        if version != self._version:
            self.clear()
            self._version = version

    def age(self) -> float:
        """Return for how many seconds the version row could not be read; 0: it could, last time."""
        return time.monotonic() - self._read_at if self._fails else 0.0

    def report(self, counts: Counts) -> None:
        """Report how old the configuration is, and how many look-ups found it here."""
        counts.set(CONFIGURATION_AGE, self.age())
        hits, self._hits = self._hits, 0
        misses, self._misses = self._misses, 0
        counts.add(CACHE_LOOKUPS, "hit", amount=hits)
        counts.add(CACHE_LOOKUPS, "miss", amount=misses)

    def clear(self) -> None:
        """Forget everything, also what is being computed right now."""
        with self._lock:
            self._generation += 1
            self._entries.clear()
            self._absent.clear()
            self._recent.clear()

    def peek(self, key: Hashable) -> Any:
        """Return the cached value of a key, None for a name known to be absent, or MISSING."""
        found = self._entries.get(key, MISSING)
        if found is MISSING:
            return None if key in self._absent else MISSING
        self._hits += 1
        try:  # noqa: SIM105 - `suppress` costs more than all the rest
            self._entries.move_to_end(key)
        except KeyError:  # another thread threw it out just now
            pass
        return found

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached value of a key, computing it when absent.

        None is remembered in a small cache of its own: invented names push nothing useful out.
        """
        found = self.peek(key)
        if found is not MISSING:
            return cast("T", found)
        with self._lock:
            generation = self._generation
            self._misses += 1
        value = compute()
        shelf, size = (self._absent, ABSENT) if value is None else (self._entries, self._size)
        with self._lock:
            # What was read before a change must not be kept after it.
            if generation == self._generation:
                shelf[key] = value
                while len(shelf) > size:
                    shelf.popitem(last=False)
        return value

    async def once(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what is computed for a key that several requests of the event loop miss at once.

        The first of them computes it, the others wait: after a change of configuration all would
        ask the database the same. Who comes after the next change has it computed anew.
        """
        mark = (self._generation, key)
        task = self._computing.get(mark)
        if task is None:
            task = asyncio.ensure_future(compute())
            self._computing[mark] = task
            task.add_done_callback(partial(self._computed, mark))
        # Whoever gives up does not stop the others.
        return cast("T", await asyncio.shield(task))

    def _computed(self, mark: Hashable, task: asyncio.Future[Any]) -> None:
        del self._computing[mark]
        if not task.cancelled():
            task.exception()  # all who waited may have given up, and nobody asks for it

    async def recently(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Return a value that was read within the last second, reading it when there is none.

        A change made by any worker of this server, or of configuration, is seen at once; one made
        elsewhere (another server, a command) after a second.
        """
        now, mark = time.monotonic(), last_change()
        with self._lock:
            found = self._recent.get(key)
            generation = self._generation
        if found is not None and found[0] == mark and now < found[1]:
            return cast("T", found[2])
        value = await read()
        with self._lock:
            if generation == self._generation:
                self._recent[key] = (mark, now + RECENT_SECONDS, value)
                self._recent.move_to_end(key)
                while len(self._recent) > RECENT:
                    self._recent.popitem(last=False)
        return value


def _outdated() -> Unavailable:
    return Unavailable(
        N_("The database does not answer; try again"),
        debug="the configuration in memory is too old",
        headers={"Retry-After": "1"},
    )


class Lookup(Generic[P, T]):
    """A function of configuration whose results the cache of the process keeps.

    Called with a session it returns the cached result or computes it. A coroutine looks into the
    cache first and has the function called on a thread when it must be (`Storage.look_up`).
    """

    def __init__(self, kind: str, longest: int, compute: Callable[..., T]) -> None:
        self._kind = kind
        self._longest = longest
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __call__(self, session: Session, *arguments: Any) -> T:
        """Return the result, from the cache when it is there."""
        if not self._may_exist(arguments):
            return cast("T", None)
        if has_changed_configuration(session):
            # A change that is not committed is for this transaction only.
            return self._compute(session, *arguments)
        cache: ConfigurationCache = session.info["runtime"].cache
        return cache.get(self.key(*arguments), lambda: self._compute(session, *arguments))

    def peek(self, cache: ConfigurationCache, *arguments: Any) -> T | Missing:
        """Return the cached result, or MISSING."""
        found = cache.peek(self.key(*arguments))
        if found is MISSING and not self._may_exist(arguments):
            found = None
        return cast("T | Missing", found)

    def key(self, *arguments: Any) -> Hashable:
        """Return what the cache knows a result by."""
        return (self._kind, *arguments)

    def _may_exist(self, arguments: tuple[Any, ...]) -> bool:
        """Return whether texts fit the columns that they are compared with."""
        return not any(
            isinstance(text, str) and (len(text) > self._longest or "\0" in text)
            for text in arguments
        )


def looked_up(kind: str, *, longest: int = 300) -> Callable[[Callable[..., T]], Lookup[..., T]]:
    """Make a `Lookup` of a function that takes a session and hashable arguments.

    For texts with more than `longest` characters, or with NUL, the result is None.
    """
    return lambda compute: Lookup(kind, longest, compute)
