"""`idp serve`: the production server, the outbox worker beside it, and the metrics listener."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import resource
import signal
import tempfile
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any, cast

import click
import structlog
from flask import Flask
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from idp.commands import starting
from idp.commands.beside import Beside
from idp.commands.command import Command
from idp.config import Settings, SettingsError
from idp.front import EXTENSION, THREADS, create_front
from idp.oauth.wsgi import MachineDoor, needs_no_thread
from idp.platform import logs, metrics
from idp.platform.jobs import service as jobs
from idp.platform.runtime import Runtime
from idp.platform.tables import load_models
from idp.platform.web import health
from idp.platform.web.bridge import DRAIN_SECONDS, Bridge
from idp.platform.web.listener import KeptListeners
from idp.publishing.files import limits

log = structlog.get_logger()

_LATE = ("idp.app", "idp.platform.signing.foreign", "limits.storage", "limits.strategies")
"""What is imported by somebody who needs it, and shared when there are several workers."""

HEADER_SECONDS = 75
"""Time that the head of a request may take, and an idle connection may stay.

Longer than proxies keep idle connections (60 seconds, most of them): whoever sends the next request
should be the one that closes, else a request meets a connection that is just being closed.
"""
CONNECTIONS = 4096
"""Connections that one worker keeps open; silent ones cost a few kilobytes and no thread."""
KILL_SECONDS = int(DRAIN_SECONDS) + 5
PAUSE_SECONDS = 0.5
"""How long a new worker answers machines alone, unless somebody asks for more."""

# The server's own lines go through our handlers.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"_granian": {"level": "INFO", "handlers": [], "propagate": True}},
}


@click.command("serve", cls=Command, example="idp serve --listen 127.0.0.1:8000 --workers 4")
@click.option("--listen", default="127.0.0.1:8000", show_default=True, help="HOST:PORT.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes."
)
@click.option("--no-worker", is_flag=True, help="Run no outbox worker beside.")
def serve(listen: str, workers: int, *, no_worker: bool) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = Settings()
    check(settings, workers)
    host, port = _address(listen, "--listen")
    starting.check(settings)
    run(settings, host, port, workers=workers, worker_beside=not no_worker)


def check(settings: Settings, workers: int) -> None:
    """Refuse what cannot be served with; the message says what to set."""
    settings.check_secret()
    if workers > 1 and settings.database.startswith("sqlite"):
        message = (
            "SQLite serves one worker: set IDP_DATABASE_URL to postgresql+psycopg://… "
            "or leave --workers at 1"
        )
        raise SettingsError(message)
    if workers > 1 and not settings.redis_url:
        message = (
            "several workers count tries together: set IDP_REDIS_URL to a Redis or Valkey, "
            "or leave --workers at 1"
        )
        raise SettingsError(message)
    if settings.metrics_listen:
        _address(settings.metrics_listen, "IDP_METRICS_LISTEN")


def run(settings: Settings, host: str, port: int, *, workers: int, worker_beside: bool) -> None:
    """Run the server and what belongs to it."""
    _allow_connections()
    logs.setup(settings.log_level, readable=settings.environment == "development")
    with tempfile.TemporaryDirectory(prefix="idp-metrics-") as folder:
        # Must be known before a worker imports prometheus-client.
        os.environ[metrics.FOLDER_VARIABLE] = folder
        listener = metrics.listen(settings.metrics_listen) if settings.metrics_listen else None
        server = KeptListeners(
            "idp",
            address=host,
            port=port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            websockets=False,
            workers=workers,
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=KILL_SECONDS,
            backpressure=CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
            log_dictconfig=_LOGGING,
        )
        if listener is not None:
            observer = multiprocessing.Process(
                target=_observe, args=(settings, listener, Path(folder)), daemon=True
            )
            server.on_startup(observer.start)
            server.on_shutdown(observer.terminate)
        if worker_beside:

            @server.on_startup
            def _start_beside() -> None:
                server.on_shutdown(Beside(settings).stop)

        _share_memory(settings, workers)
        server.serve(target_loader=partial(load, settings), wrap_loader=False)


def _share_memory(settings: Settings, workers: int) -> None:
    """Import what every worker needs before there is one: forked, they share it.

    A single worker has nobody to share with. It imports what machines do not ask for while it
    already answers them; see `_finish`.
    """
    gc.disable()
    names = ["prometheus_client"]
    if not settings.database.startswith("sqlite"):
        names.append("psycopg")
    if settings.redis_url:
        names.append("redis")
    if workers > 1:
        names += _LATE
    for name in names:
        importlib.import_module(name)
    load_models()
    configure_mappers()
    # A collection would write to every object and so copy it; frozen ones are left alone.
    gc.freeze()
    gc.enable()


def load(settings: Settings) -> Any:
    """Build the application, in a worker process."""
    # Until the loop has handlers of its own nothing is lost by ending at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _stop_with_server()
    app = create_front(settings)
    threading.Thread(target=_finish, args=(app, settings), name="pages", daemon=True).start()
    return Bridge(
        app.wsgi_app,
        threads=THREADS,
        at_once=needs_no_thread,
        on_stopped=cast("MachineDoor", app.wsgi_app).close,
        on_stopping=app.extensions[health.EXTENSION].stopping.set,
        uploads=limits.UPLOADS,
        secure=settings.secure,
    )


def _finish(app: Flask, settings: Settings) -> None:
    """Put everything else behind the front, beside requests; without it the worker ends."""
    # Machines first; whoever asks for a page ends the pause.
    app.extensions[EXTENSION].wanted.wait(PAUSE_SECONDS)
    gc.disable()
    try:
        # Not before the first answer, and with several workers before they are forked.
        from idp.app import finish  # noqa: PLC0415

        finish(app, settings)
    except BaseException:
        log.exception("worker_incomplete")
        os._exit(1)
    finally:
        gc.freeze()
        gc.enable()


def _stop_with_server() -> None:
    """Stop when the server was killed: a worker that nobody leads would serve for ever."""
    server = multiprocessing.parent_process()
    if server is None:
        return
    number = server.pid

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == number:
            pause.wait(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="server watch", daemon=True).start()


def _allow_connections() -> None:
    """Raise the limit of open files, which counts connections too, as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS * 2
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _address(text: str, name: str) -> tuple[str, int]:
    try:
        return metrics.parse_address(text)
    except ValueError as error:
        message = f"{name}: {error}"
        raise SettingsError(message) from None


def _observe(settings: Settings, listener: socket, folder: Path) -> None:
    """Answer scrapes, in a process of its own."""
    # The server's handlers came along; Ctrl-C reaches the server, which then ends us.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runtime: Runtime = create_front(settings).extensions["idp"]

    def gauges() -> Mapping[str, float]:
        try:
            with runtime.sessions() as session:
                return {"outbox_oldest_seconds": jobs.oldest_seconds(session)}
        except SQLAlchemyError:
            return {}  # a figure that is not known is absent

    metrics.serve(listener, folder, gauges)
