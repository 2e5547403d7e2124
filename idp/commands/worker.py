"""`idp worker`: the outbox, the clean-up and the rotation of keys."""

from __future__ import annotations

import os
import signal
import threading

import click
import structlog

from idp import jobs
from idp import runtime as runtimes
from idp.commands import starting
from idp.commands.command import Command
from idp.config import Settings
from idp.platform import connections, logs
from idp.platform.jobs import worker as loops
from idp.platform.releases import service as releases

log = structlog.get_logger()


@click.command("worker", cls=Command, example="idp worker")
@click.option("--beside", is_flag=True, hidden=True, help="Stop when standard input ends.")
def worker(*, beside: bool) -> None:
    """Deliver messages, clean up and rotate keys until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if beside:
        threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    settings = Settings()
    if not beside:
        starting.check(settings)
    logs.setup(settings.log_level, readable=settings.environment == "development")
    runtime = runtimes.create(settings, role="worker", seconds=connections.WORKER_SECONDS)
    if not beside:  # else the server is the node
        releases.start_noting(runtime, stop, releases.node_name())
    log.info("worker_started")
    loops.run(runtime, stop, jobs.JOBS, chores=jobs.CHORES)
    runtime.engine.dispose()
    log.info("worker_stopped")


def _watch_input(stop: threading.Event) -> None:
    # Not through sys.stdin: its lock would be held while the interpreter ends.
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    worker()
