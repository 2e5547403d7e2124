"""Requests counted in one process."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Tally:
    """Requests of one endpoint, method and status that are yet to be written."""

    __slots__ = ("buckets", "requests", "seconds")

    def __init__(self) -> None:
        self.requests = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)


class Metrics:
    """Counters of one process.

    Requests are added up in memory; `write` hands them to prometheus-client, whose counters lie in
    a file and look at the process id each time.
    """

    def __init__(self, configuration_age: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._configuration_age = configuration_age
        self._age = Gauge(
            "idp_configuration_age_seconds",
            "Time for which the configuration could not be compared with the database.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._requests = Counter(
            "idp_requests",
            "Requests answered.",
            ("endpoint", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "idp_request_seconds",
            "Time from the first look at a request to its answer.",
            ("endpoint",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, str, int], _Tally] = {}

    def count(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (endpoint, method if method in _METHODS else "(other)", status)
        with self._lock:
            tally = self._tallies.get(key)
            if tally is None:
                tally = self._tallies[key] = _Tally()
            tally.requests += 1
            tally.seconds += seconds
            tally.buckets[bisect_left(BUCKETS, seconds)] += 1

    def write(self) -> None:
        """Hand on what was counted since the last time."""
        self._age.set(self._configuration_age())
        with self._lock:
            tallies, self._tallies = self._tallies, {}
        for (endpoint, method, status), tally in tallies.items():
            self._requests.labels(endpoint, method, status).inc(tally.requests)
            histogram: Any = self._seconds.labels(endpoint)
            # There is no public way to add many observations at once.
            histogram._sum.inc(tally.seconds)  # noqa: SLF001
            for bucket, hits in zip(histogram._buckets, tally.buckets, strict=True):  # noqa: SLF001
                if hits:
                    bucket.inc(hits)

    @property
    def registry(self) -> CollectorRegistry:
        """The values up to now."""
        self.write()
        return self._registry
