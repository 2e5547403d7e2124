"""What a store of tries and failures holds and does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

PREFIX = "idp"
MAX_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Delay:
    """How the wait grows: nothing for the first failures, then 1, 2, 4 … seconds."""

    free: int
    longest: int
    forget: int = 3600

    def after(self, failures: int) -> int:
        """Return the seconds to wait after so many failures."""
        if failures < self.free:
            return 0
        return int(min(self.longest, 2 ** min(failures - self.free, MAX_DOUBLINGS)))


@dataclass(frozen=True, slots=True)
class State:
    """What a shared store tells about itself."""

    is_master: bool
    evicts: bool
    """Whether it drops records when its memory is full."""
    ahead_seconds: float
    """By how much its clock is ahead of ours."""


class Record(NamedTuple):
    """Failures so far, and until when (seconds since the epoch) to wait."""

    failures: int
    until: float


class Store(Protocol):
    """Where tries and failures are counted."""

    def hit(self, parts: tuple[str, ...], limit: int, seconds: int, cost: int) -> float:
        """Count a try, or with no cost look at the count; return the seconds to wait."""

    def read(self, *keys: str) -> list[Record]:
        """Return the records of keys, in one step."""

    def fail(self, key: str, delay: Delay, now: float) -> None:
        """Count a failure and set the wait it earns."""

    def forget(self, *keys: str) -> None:
        """Drop records."""

    def claim(self, key: str, value: float, seconds: int) -> float | None:
        """Store a value where there is none; return the value that was there before."""
