"""Metrics for Prometheus, added up over the workers of one server.

The functions below import what counts and what answers when they are called: prometheus-client
reads `FOLDER_VARIABLE` when it is imported, and commands need none of it.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import Metric
from idp.setting_values import host_and_port

if TYPE_CHECKING:
    from idp.platform.metrics.counting import Metrics

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus-client when it is imported: workers count into files of this folder."""

WRITE_SECONDS = 1.0

Sample = tuple[Metric, tuple[str, ...], float]
"""A gauge, the values of its labels, and its value."""
Gauges = Callable[[], Iterable[Sample]]
"""Returns gauges that no process counts, at each scrape; it must not wait."""


def create(counts: Counts) -> Metrics:
    """Return the metrics that hand on what this process counts."""
    from idp.platform.metrics.counting import Metrics  # noqa: PLC0415

    return Metrics(counts)


def keep_written(counts: Counts, stop: threading.Event) -> None:
    """Hand on what a process without an event loop counts, every second until `stop` is set."""
    written = create(counts)
    while not stop.wait(WRITE_SECONDS):
        written.write()
    written.write()


def forget(pid: int) -> None:
    """Drop the gauges of a worker that ended; what it counted stays."""
    from prometheus_client import multiprocess  # noqa: PLC0415

    if FOLDER_VARIABLE in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def serve(listener: socket.socket, folder: Path, gauges: Gauges) -> None:
    """Answer scrapes with what all workers counted, until the process ends."""
    from idp.platform.metrics import scraping  # noqa: PLC0415

    scraping.serve(listener, folder, gauges)


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
