"""Documents at addresses that anybody may name: fetched once for all who wait, kept for a while.

They have a pool of their own, so that no number of them keeps anybody else waiting. A document is
kept for as long as its server says, within bounds; what could not be had is not kept, but the
address is left alone for a moment.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from idp.platform import clock
from idp.platform.errors import Busy, Problem
from idp.platform.fetch import Fetched, Fetcher
from idp.platform.translation import N_

if TYPE_CHECKING:
    from idp.platform.throttle import Throttle

T = TypeVar("T")

CONCURRENT = 4
WAITING_THREADS = 2
"""Threads of this process that may wait for a document; a coroutine needs none."""
TIMEOUT_SECONDS = 5.0
SHORTEST = timedelta(minutes=5)
LONGEST = timedelta(hours=24)
FAILURE = timedelta(seconds=10)
"""How long an address is left alone after a failure."""
TRIES_PER_MINUTE = 6
"""Of one address, by one process."""
KEPT = 512
BUSY_SECONDS = 5

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})", re.IGNORECASE)
_EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A document that was read, and when."""

    value: T
    fetched_at: datetime
    fresh_until: datetime


@dataclass(frozen=True, slots=True)
class Wanted(Generic[T]):
    """A kind of document: how it is asked for, and how an answer is read."""

    kind: str
    """What is read as different things is kept apart."""
    accept: str
    """Value of the `Accept` header."""
    max_bytes: int
    read: Callable[[str, Fetched], T]
    """Takes the address and its answer; raises a Problem for one that is of no use."""

    def key(self, url: str) -> str:
        """Return by what the document of an address is known."""
        return f"{self.kind} {url}"


class Documents:
    """Fetches documents and keeps them, in the memory of one process."""

    def __init__(self, fetcher: Fetcher, throttle: Throttle, per_minute: int) -> None:
        self._fetcher = fetcher
        self._throttle = throttle
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept[Any]] = OrderedDict()
        self._failed: OrderedDict[str, tuple[Problem, datetime]] = OrderedDict()
        self._under_way: dict[str, Future[Kept[Any]]] = {}
        self._waiting = threading.BoundedSemaphore(WAITING_THREADS)

    def peek(self, url: str, wanted: Wanted[T], since: datetime | None = None) -> Kept[T] | None:
        """Return the document of an address if it is here, and was fetched `since` then."""
        found = self._kept.get(wanted.key(url))
        if found is None or clock.now() >= found.fresh_until:
            return None
        return None if since is not None and found.fetched_at < since else found

    def begin(self, url: str, wanted: Wanted[T]) -> Future[Kept[T]]:
        """Fetch a document, unless that is under way; the future has it or the Problem.

        Busy where too much is being fetched, or was in the last minute. The Problem of a moment ago
        where the address just failed.
        """
        key = wanted.key(url)
        with self._lock:
            running = self._under_way.get(key)
            if running is not None:
                return running
            self._check_failed(key)
            self._check_turn(key)
            future = self._fetcher.begin(
                url,
                partial(self._keep, url, wanted),
                wanted.accept,
                max_bytes=wanted.max_bytes,
                timeout=TIMEOUT_SECONDS,
            )
            self._under_way[key] = future
            self._check_turn(key, cost=1)
        future.add_done_callback(partial(self._done, key))
        return future

    def get(self, url: str, wanted: Wanted[T], since: datetime | None = None) -> T:
        """Return a document to a thread, from memory or fetched now."""
        found = self.peek(url, wanted, since)
        return (found or self.wait(self.begin(url, wanted))).value

    def wait(self, future: Future[Kept[T]]) -> Kept[T]:
        """Wait for a document on a thread; Busy where others do so already."""
        if future.done():
            return future.result()
        if not self._waiting.acquire(blocking=False):
            raise busy()
        try:
            return future.result(TIMEOUT_SECONDS + 0.1)
        except TimeoutError:
            raise busy() from None
        finally:
            self._waiting.release()

    def close(self) -> None:
        """End the threads of the pool."""
        self._fetcher.close()

    def _check_failed(self, key: str) -> None:
        problem, at = self._failed.get(key, (None, None))
        if problem is not None and at is not None and clock.now() - at < FAILURE:
            raise _again(problem)

    def _check_turn(self, key: str, cost: int = 0) -> None:
        """Refuse what was asked for too often; with a cost, count that it is asked for now."""
        allows = self._throttle.allows_here
        own = allows("document", key, TRIES_PER_MINUTE, 60, cost=cost)
        of_all = allows("documents", _EVERYBODY, self._per_minute, 60, cost=cost)
        if not cost and not (own and of_all):
            raise busy()

    def _keep(self, url: str, wanted: Wanted[T], fetched: Fetched) -> Kept[T]:
        now = clock.now()
        kept = Kept(wanted.read(url, fetched), now, now + _lifetime(fetched.cache_control))
        with self._lock:
            key = wanted.key(url)
            self._kept[key] = kept
            _bound(self._kept, key)
        return kept

    def _done(self, key: str, future: Future[Kept[Any]]) -> None:
        with self._lock:
            self._under_way.pop(key, None)
            problem = None if future.cancelled() else future.exception()
            if isinstance(problem, Problem):
                # The draft forbids to keep errors (4.4); this is the pause before the next try.
                self._failed[key] = (problem, clock.now())
                _bound(self._failed, key)
            else:
                self._failed.pop(key, None)


def _lifetime(cache_control: str) -> timedelta:
    """Return how long an answer is kept (RFC 9111 5.2.2.1), within our bounds."""
    stated = _MAX_AGE.search(cache_control)
    if stated is None:
        return SHORTEST
    return max(SHORTEST, min(LONGEST, timedelta(seconds=int(stated[1]))))


def _bound(entries: OrderedDict[str, Any], newest: str) -> None:
    entries.move_to_end(newest)
    while len(entries) > KEPT:
        entries.popitem(last=False)


def _again(problem: Problem) -> Problem:
    """Return the same refusal once more, without the trace of the first time."""
    return type(problem)(problem.detail, code=problem.code, debug=problem.debug)


def busy() -> Busy:
    """Return the refusal of one who would have to wait for a document and may not."""
    message = N_("Too many descriptions of applications are being fetched; try again.")
    return Busy(message, BUSY_SECONDS)
