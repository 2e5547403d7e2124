"""`idp worker`: the outbox, the clean-up and the rotation of keys."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory

import click
import structlog

from idp import jobs
from idp import runtime as runtimes
from idp.commands import starting
from idp.commands.command import Command
from idp.config import Settings
from idp.platform import connections, logs, metrics
from idp.platform.jobs import worker as loops
from idp.platform.releases import service as releases
from idp.platform.runtime import Runtime
from idp.server import observer

log = structlog.get_logger()


@click.command("worker", cls=Command, example="idp worker --metrics-listen 127.0.0.1:9101")
@click.option("--beside", is_flag=True, hidden=True, help="Stop when standard input ends.")
@click.option(
    "--metrics-listen",
    default="",
    metavar="HOST:PORT",
    help="Answer scrapes of Prometheus here. A server on this machine has IDP_METRICS_LISTEN.",
)
def worker(*, beside: bool, metrics_listen: str) -> None:
    """Deliver messages, clean up and rotate keys until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if beside:
        threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    settings = Settings()
    if not beside:
        starting.check(settings)
    listener = observer.listen(metrics_listen, name="--metrics-listen")
    logs.configure(settings)
    runtime = runtimes.create(settings, role="worker", seconds=connections.WORKER_SECONDS)
    if not beside:  # else the server is the node
        releases.start_noting(runtime, stop, releases.node_name())
    log.info("worker_started")
    with _counting(settings, runtime, listener):
        loops.run(runtime, stop, jobs.JOBS, chores=jobs.CHORES)
    runtime.engine.dispose()
    if runtime.tracer is not None:
        runtime.tracer.close()
    log.info("worker_stopped")


@contextmanager
def _counting(settings: Settings, runtime: Runtime, listener: socket | None) -> Iterator[None]:
    """Hand on what is counted: to the server beside which it runs, or to a listener of its own."""
    with ExitStack() as held:
        if listener is not None:
            folder = held.enter_context(TemporaryDirectory(prefix="idp-metrics-"))
            os.environ[metrics.FOLDER_VARIABLE] = folder
            answering = partial(observer.observe, settings, listener, Path(folder))
            threading.Thread(target=answering, name="metrics", daemon=True).start()
        if metrics.FOLDER_VARIABLE in os.environ:
            over = threading.Event()
            writing = threading.Thread(target=metrics.keep_written, args=(runtime.counts, over))
            writing.start()
            held.callback(writing.join)
            held.callback(over.set)
        yield


def _watch_input(stop: threading.Event) -> None:
    # Not through sys.stdin: its lock would be held while the interpreter ends.
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    worker()
