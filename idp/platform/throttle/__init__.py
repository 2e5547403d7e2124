"""Counters against guessing and flooding: in Valkey when there is one, else in the process.

When Valkey does not answer, counting goes on in the process: slower guessing is lost, never all
of it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from idp.platform import clock
from idp.platform.errors import TooManyRequests
from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import DELAYS
from idp.platform.throttle.local import LocalStore
from idp.platform.throttle.store import PREFIX, Delay, State, Store

if TYPE_CHECKING:
    from idp.platform.runtime import RequestContext
    from idp.platform.throttle.shared import SharedStore

log = structlog.get_logger("idp.throttle")

T = TypeVar("T")

SLOT_SECONDS = 5
TICKET_SECONDS = 3600
RETRY_SECONDS = 1.0
IPV6_NETWORKS = (64, 56, 48)
"""What one visitor may have of IPv6, narrowest first: a line, a home, a site."""


@dataclass(frozen=True, slots=True)
class Address:
    """The origin of a visitor, counted by the networks that they can move in."""

    text: str
    within: str = ""
    """The client that reported the address of a person; "" for what we see."""

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


TOGETHER = Delay(free=5, longest=900)
"""One account from one address."""
SUBJECT = Delay(free=20, longest=60)
"""One account from anywhere; an address that waited once is let through (see `check_delay`)."""
ADDRESS = Delay(free=30, longest=300)
"""Any account from one address; a wider network of IPv6 has more free failures (`_widened`)."""


class Throttle:
    """Limits and growing delays, by name and key; keys are stored as hashes."""

    def __init__(self, redis_url: str = "", counts: Counts | None = None) -> None:
        self._counts = counts or Counts()
        self._local = LocalStore()
        self._shared = _open_shared(redis_url) if redis_url else None
        self._down_until = 0.0

    def is_reachable(self) -> bool:
        """Ask the shared store whether it answers; True when there is none to ask."""
        return self._shared is None or self._shared.ping()

    def examine(self) -> State | None:
        """Return the state of the shared store; None when it does not answer, or there is none."""
        return None if self._shared is None else self._shared.examine()

    def hit(
        self, name: str, key: Key | tuple[Key, ...], limit: int, seconds: int, *, cost: int = 1
    ) -> None:
        """Count a try; TooManyRequests past `limit` tries within so many seconds.

        Several keys are counted together, as one. A wider network of IPv6 has twice the limit of
        the one in it; what a narrow one is refused does not count for the wider.
        """
        self._limit(name, key, limit, seconds, cost)

    def check(self, name: str, key: Key | tuple[Key, ...], limit: int, seconds: int) -> None:
        """Refuse as `hit` would, and count nothing."""
        self._limit(name, key, limit, seconds, 0)

    def allows_here(self, name: str, key: str, limit: int, seconds: int, *, cost: int = 1) -> bool:
        """Count a try in this process alone, and return whether it is within the limit.

        For what may cost no look at a shared store; with no `cost` nothing is counted.
        """
        return not _hit(name, key, limit, seconds, cost, self._local)

    def seconds_here(self, name: str, key: str, keep: int) -> float | None:
        """Note a try in this process alone; return the seconds since the last one.

        None: there was none within the `keep` seconds that it is remembered for.
        """
        return self._local.since_last(f"{PREFIX}:last:{name}:{_hashed(key)}", keep)

    def check_delay(self, name: str, *keys: Key) -> bool:
        """Refuse while the delay that earlier failures earned is running.

        Return whether there are failures that a success makes forgotten: see `succeeded`.

        The first key is the account, the last one the address that it is tried from, or the client
        that speaks for people whose address it does not tell. Their combination waits longest; an
        address waits by itself too, a client never does. An account that fails from everywhere
        makes new addresses wait once, for a time that further failures elsewhere do not extend: an
        attacker slows the owner down and cannot lock them out.
        """
        try:
            return self._count(lambda store: _check(store, name, keys))
        except TooManyRequests:
            self._counts.add(DELAYS, name)
            raise

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

        Otherwise a person with an account of their own could try others in between. It is not
        worth the round trip where `check_delay` found nothing to forget.
        """
        together, *single = (key for key, _ in _records(name, keys))
        names = (together, _slot(name, keys), *single[:1])
        self._count(lambda store: store.forget(*names))
        self._local.forget(*names)

    def _limit(
        self, name: str, key: Key | tuple[Key, ...], limit: int, seconds: int, cost: int
    ) -> None:
        for text, factor in _counted(key):
            wait = self._count(partial(_hit, name, text, limit * factor, seconds, cost))
            if wait:
                self._counts.add(DELAYS, name)
                raise TooManyRequests(_seconds(wait))

    def _count(self, action: Callable[[Store], T]) -> T:
        """Count in the shared store, or here while it does not answer."""
        now = time.monotonic()
        if self._shared is None or now < self._down_until:
            return action(self._local)
        if self._down_until:
            self._down_until = now + RETRY_SECONDS  # only one request finds out whether it is back
        answers = True
        try:
            return action(self._shared)
        except self._shared.errors as error:
            answers = False
            log.warning("throttle_store_unreachable", error=type(error).__name__)
        finally:
            self._down_until = 0.0 if answers else time.monotonic() + RETRY_SECONDS
        return action(self._local)


def _open_shared(url: str) -> SharedStore:
    # Imported by need: a quarter of a second.
    from idp.platform.throttle.shared import SharedStore  # noqa: PLC0415

    return SharedStore(url)


def _hit(name: str, text: str, limit: int, seconds: int, cost: int, store: Store) -> float:
    return store.hit((name, _hashed(text)), limit, seconds, cost)


def _check(store: Store, name: str, keys: tuple[Key, ...]) -> bool:
    """Refuse a try that comes too early; return whether its account has failures."""
    now = clock.now().timestamp()
    records = _records(name, keys)
    key, strict = records[0]
    together, *single = store.read(*(key for key, _ in records))
    if together.until > now:
        raise TooManyRequests(_seconds(together.until - now))
    for position, record in enumerate(single):
        until = record.until
        if until > now and position == 0:
            # The ticket holds when this address may try, fixed at its first visit.
            kept = store.claim(f"{key}:ticket", until, TICKET_SECONDS)
            until = until if kept is None else kept
        if until > now:
            raise TooManyRequests(_seconds(until - now))
    # Past the free tries one attempt at a time: parallel ones would all pass the check above.
    if (
        together.failures >= strict.free
        and store.claim(_slot(name, keys), now, SLOT_SECONDS) is not None
    ):
        raise TooManyRequests(1)
    return any(record.failures for record in (together, *single[:1]))


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
    # Keys are names and addresses of people, which readers of the store must not see.
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _seconds(wait: float) -> int:
    return max(1, math.ceil(wait))
