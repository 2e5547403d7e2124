"""The listener that Prometheus asks."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from idp.platform.metrics import Gauges
from idp.platform.metrics.declarations import Metric


def serve(listener: socket.socket, folder: Path, gauges: Gauges) -> None:
    """Answer scrapes with what all workers counted, until the process ends."""
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

    class LiveGauges:
        """Collects the gauges."""

        @staticmethod
        def collect() -> Iterable[GaugeMetricFamily]:
            """Return the values of this moment."""
            families: dict[Metric, GaugeMetricFamily] = {}
            for metric, labels, value in gauges():
                if metric not in families:
                    families[metric] = GaugeMetricFamily(
                        metric.name, metric.sentence, labels=metric.labels
                    )
                families[metric].add_metric(metric.bounded(labels), value)
            return families.values()

        @staticmethod
        def describe() -> Iterable[GaugeMetricFamily]:
            """Promise nothing: registering must not ask the database."""
            return ()

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    registry.register(LiveGauges())
    return registry


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its parent's name
        """Log no scrapes."""
