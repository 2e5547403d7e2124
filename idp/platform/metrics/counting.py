"""What a process counted, handed to prometheus-client."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from idp.platform.metrics.counts import Counts, Tally
from idp.platform.metrics.declarations import BUCKETS, METRICS, Metric


class Metrics:
    """The metrics of one process; `write` brings them up to date.

    The counters of prometheus-client lie in a file and look at the process id each time, so they
    are not what a request pays for.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._registry = CollectorRegistry()
        self._families: dict[Metric, Any] = {}
        for metric in METRICS:
            if metric.kind == "counter" and metric.values.keys() == set(metric.labels):
                self._begin_at_zero(metric)

    def write(self) -> None:
        """Hand on what was counted since the last time."""
        added, observed, gauges = self._counts.take()
        for (metric, labels), amount in added.items():
            self._series(metric, labels).inc(amount)
        for (metric, labels), tally in observed.items():
            _add(self._series(metric, labels), tally)
        for (metric, labels), value in gauges.items():
            self._series(metric, labels).set(value)

    @property
    def registry(self) -> CollectorRegistry:
        """The values up to now."""
        self.write()
        return self._registry

    def _begin_at_zero(self, metric: Metric) -> None:
        """Show what never happened as 0; an increase is seen only where a value was before."""
        for labels in product(*(sorted(metric.values[name]) for name in metric.labels)):
            self._series(metric, labels)

    def _series(self, metric: Metric, labels: tuple[object, ...]) -> Any:
        family = self._families.get(metric)
        if family is None:
            family = self._families[metric] = _MAKE[metric.kind](metric, self._registry)
        return family.labels(*metric.bounded(labels)) if labels else family


def _make_counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.sentence, metric.labels, registry=registry)


def _make_gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(
        metric.name,
        metric.sentence,
        metric.labels,
        registry=registry,
        multiprocess_mode=metric.merge,
    )


def _make_histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(
        metric.name, metric.sentence, metric.labels, buckets=BUCKETS, registry=registry
    )


_MAKE: dict[str, Callable[[Metric, CollectorRegistry], Any]] = {
    "counter": _make_counter,
    "gauge": _make_gauge,
    "histogram": _make_histogram,
}


def _add(histogram: Any, tally: Tally) -> None:
    # There is no public way to add many observations at once.
    histogram._sum.inc(tally.total)  # noqa: SLF001
    for bucket, hits in zip(histogram._buckets, tally.buckets, strict=True):  # noqa: SLF001
        if hits:
            bucket.inc(hits)
