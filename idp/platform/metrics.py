"""Figures for Prometheus, added up over the workers of one server."""

from __future__ import annotations

import socket
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from idp.setting_values import host_and_port

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus-client when it is imported: workers count into files of this folder."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Gauges = Callable[[], Mapping[str, float]]
"""Name → value of figures that are asked for when somebody looks."""


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

    def __init__(self) -> None:
        # Imported late: the folder is known by then, and commands never pay for it.
        from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415

        self._registry = CollectorRegistry()
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
        """The figures up to now."""
        self.write()
        return self._registry


def parse_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT, a name as the address that it has here; ValueError for anything else."""
    host, port = host_and_port(text)
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)  # noqa: S104 - the operator wrote no host
    except (OSError, UnicodeError):
        message = f"{text!r}: there is no host of that name"
        raise ValueError(message) from None
    # `localhost` has two; browsers and proxies try the older one at the latest.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]), port


def serve(listener: socket.socket, folder: Path, gauges: Gauges) -> None:
    """Answer scrapes with what all workers counted, until the process ends."""
    from prometheus_client import make_wsgi_app  # noqa: PLC0415

    server = make_server(
        "127.0.0.1",
        0,
        make_wsgi_app(combined(folder, gauges)),
        server_class=_Server,
        handler_class=_Quiet,
    )
    server.socket.close()
    server.socket = listener
    server.serve_forever()


def combined(folder: Path, gauges: Gauges) -> CollectorRegistry:
    """Make a registry of what the workers wrote into a folder, and of the gauges."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    class Asked:
        """Collects the gauges."""

        @staticmethod
        def collect() -> Iterable[GaugeMetricFamily]:
            """Ask for each value now."""
            for name, value in gauges().items():
                yield GaugeMetricFamily(name, name.replace("_", " "), value=value)

        @staticmethod
        def describe() -> Iterable[GaugeMetricFamily]:
            """Promise nothing: registering must not ask the database."""
            return ()

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    registry.register(Asked())
    return registry


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its parent's name
        """Log no scrapes."""
