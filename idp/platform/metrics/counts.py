"""What one process has counted, in memory, until it is handed to prometheus-client."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable

from idp.platform.metrics.declarations import BUCKETS, REQUEST_SECONDS, REQUESTS, Metric

Key = tuple[Metric, tuple[object, ...]]
"""A metric with the values of its labels."""


class Tally:
    """Observations of a histogram."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)

    def take(self, value: float) -> None:
        """Add an observation."""
        self.total += value
        self.buckets[bisect_left(BUCKETS, value)] += 1

    def merge(self, other: Tally) -> None:
        """Add the observations of another one."""
        self.total += other.total
        self.buckets = [
            ours + theirs for ours, theirs in zip(self.buckets, other.buckets, strict=True)
        ]


class Counts:
    """Counters, histograms and gauges of one process.

    Whoever counts pays for an entry in a dictionary. `sources` are asked before the values are
    handed on, for what is looked at instead of being counted.
    """

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self._lock = threading.Lock()
        self._added: dict[Key, float] = {}
        self._observed: dict[Key, Tally] = {}
        self._gauges: dict[Key, float] = {}
        self._answers: dict[tuple[str, str, int], Tally] = {}

    def add(self, metric: Metric, *labels: object, amount: float = 1) -> None:
        """Raise a counter."""
        key = (metric, labels)
        with self._lock:
            self._added[key] = self._added.get(key, 0) + amount

    def observe(self, metric: Metric, value: float, *labels: object) -> None:
        """Add an observation to a histogram."""
        key = (metric, labels)
        with self._lock:
            tally = self._observed.get(key)
            if tally is None:
                tally = self._observed[key] = Tally()
            tally.take(value)

    def answered(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count a request and its time at once: every answer pays for this."""
        key = (endpoint, method, status)
        with self._lock:
            tally = self._answers.get(key)
            if tally is None:
                tally = self._answers[key] = Tally()
            tally.total += seconds
            tally.buckets[bisect_left(BUCKETS, seconds)] += 1

    def set(self, metric: Metric, value: float, *labels: object) -> None:
        """Set a gauge."""
        with self._lock:
            self._gauges[metric, labels] = value

    def take(self) -> tuple[dict[Key, float], dict[Key, Tally], dict[Key, float]]:
        """Return what was counted, observed and set since the last time."""
        for source in self.sources:
            source(self)
        with self._lock:
            answers, self._answers = self._answers, {}
            added, self._added = self._added, {}
            observed, self._observed = self._observed, {}
            gauges, self._gauges = self._gauges, {}
        for key, tally in answers.items():
            added[REQUESTS, key] = sum(tally.buckets)
            observed.setdefault((REQUEST_SECONDS, key[:1]), Tally()).merge(tally)
        return added, observed, gauges


Source = Callable[[Counts], None]
"""Sets gauges, and adds what it counted by itself."""
