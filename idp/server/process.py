"""The processes of a server: one that keeps sockets and order, and its workers, which answer.

The first one imports what every worker needs and forks them, so that they share that memory. It
answers nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket
from typing import TYPE_CHECKING, NoReturn, Protocol, Self, cast

import structlog
from flask import Flask
from sqlalchemy.orm import configure_mappers

from idp.config import Settings, notify_socket
from idp.early_app import EXTENSION, create_front
from idp.oauth.client_auth import uses
from idp.oauth.machine_door import MachineDoor
from idp.platform import logs, metrics
from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import MEMORY
from idp.platform.releases import service as releases
from idp.platform.runtime import Runtime
from idp.platform.storage import LoopStorage, TracedLoopStorage
from idp.platform.tables import load_models
from idp.platform.web import health
from idp.publishing.files import limits
from idp.runtime import THREADS
from idp.server import listeners, observer
from idp.server.bridge import CONNECTIONS, DRAIN_SECONDS, Bridge
from idp.server.outbox_worker import OutboxWorker

if TYPE_CHECKING:
    from idp.platform.postgres import Pool

log = structlog.get_logger()

_LATE = ("idp.app", "idp.platform.signing.foreign", "limits.storage", "limits.strategies")
"""What is imported when it is needed, and shared when there are several workers."""

KILL_SECONDS = int(DRAIN_SECONDS) + 5
"""How long a worker may take to end before it is killed."""
PAUSE_SECONDS = 0.5
"""How long a new worker answers machines alone, unless a page is requested."""
RESPAWN_SECONDS = 0.5
"""How long after the end of a worker the next one starts."""
HOPELESS_SECONDS = 5.0
"""A worker that was started again and ends within this time ends the server."""
LOOK_SECONDS = 1.0

READY = 255
"""Written among the numbers of signals by a worker that begins to answer."""
TAKES_OVER_FROM = "--takes-over-from"

Ready = Callable[[], None]
Work = Callable[[socket, Ready], None]
"""What a worker does with its listening socket until it has to stop."""


class Neighbour(Protocol):
    """Another process that belongs to the server."""

    def look(self) -> None:
        """See whether it is there."""

    def let_go(self) -> None:
        """Ask it to end."""

    def stop(self) -> None:
        """Wait until it has ended."""


class Server:
    """Keeps a worker running for each listening socket."""

    def __init__(
        self, sockets: Sequence[socket], work: Work, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        self._sockets = sockets
        self._work = work
        self._on_ready = on_ready
        self._ready = 0
        self._pids: dict[int, int] = {}
        """Place → process id."""
        self._started: dict[int, float] = {}
        self._again: dict[int, float] = {}
        """Place → when its next worker starts."""
        self._successor: subprocess.Popen[bytes] | None = None
        self._is_outdated = False
        self.neighbours: list[Neighbour] = []

    def run(self) -> int:
        """Serve until SIGTERM or Ctrl-C; return the exit code."""
        with _Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD) as signals:
            self._signals = signals
            for place in range(len(self._sockets)):
                self._start(place)
            try:
                return self._lead()
            finally:
                self._stop()

    def _lead(self) -> int:
        has_terminal = os.isatty(0)
        while True:
            heard = self._signals.wait(RESPAWN_SECONDS if self._again else LOOK_SECONDS)
            if signal.SIGTERM in heard or signal.SIGINT in heard:
                return 0
            if signal.SIGHUP in heard:
                if has_terminal:  # it went away
                    return 0
                self._is_outdated = True
            self._look_at_successor()
            if self._is_outdated:
                self._start_successor()
            self._count_ready(heard.count(READY))
            if not self._replace_dead():
                return 1
            for neighbour in self.neighbours:
                neighbour.look()

    def _replace_dead(self) -> bool:
        """Start workers again that ended; return whether there is any hope."""
        for place, code in self._ended():
            log.error("worker_died", worker=place + 1, exit_code=code)
            age = time.monotonic() - self._started[place]
            if place in self._again and age < HOPELESS_SECONDS:
                log.error("server_gave_up", worker=place + 1)
                return False
            self._again[place] = time.monotonic() + RESPAWN_SECONDS
        for place, due in self._again.items():
            if place not in self._pids and time.monotonic() >= due:
                self._start(place)
        return True

    def _count_ready(self, more: int) -> None:
        before, self._ready = self._ready, self._ready + more
        if before < len(self._sockets) <= self._ready:
            self._on_ready()

    def _look_at_successor(self) -> None:
        """See whether it ended, which it does only when it could not take over."""
        if self._successor is not None and (code := self._successor.poll()) is not None:
            log.error("successor_failed", exit_code=code)
            self._successor = None

    def _start_successor(self) -> None:
        """Run the same command again: it shares our address, and ends us once it is ready."""
        if self._successor is not None:
            return  # should it fail, there is another one
        self._is_outdated = False
        same = [part for part in sys.orig_argv if not part.startswith(TAKES_OVER_FROM)]
        command = [sys.executable, *same[1:], f"{TAKES_OVER_FROM}={os.getpid()}"]
        self._successor = subprocess.Popen(command)  # noqa: S603 - our own command
        log.info("successor_started", pid=self._successor.pid)

    def _start(self, place: int) -> None:
        self._started[place] = time.monotonic()
        job = partial(self._work, self._sockets[place], self._signals.report_ready)
        self._pids[place] = pid = fork(job)
        log.info("worker_started", worker=place + 1, pid=pid, server=os.getpid())

    def _ended(self) -> Iterable[tuple[int, int]]:
        """List the workers that ended, and their exit codes."""
        for place, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[place]
                metrics.forget(pid)
                yield place, os.waitstatus_to_exitcode(status)

    def _stop(self) -> None:
        """Close the door, then wait for the workers to finish."""
        for listener in self._sockets:
            listeners.refuse_connections(listener)
        for neighbour in self.neighbours:
            neighbour.let_go()
        self._signal(signal.SIGTERM)
        end = time.monotonic() + KILL_SECONDS
        while self._pids:
            self._signals.wait(max(0.0, min(LOOK_SECONDS, end - time.monotonic())))
            for place, code in self._ended():
                log.info("worker_stopped", worker=place + 1, exit_code=code)
            if time.monotonic() >= end:
                self._signal(signal.SIGKILL)
        for neighbour in self.neighbours:
            neighbour.stop()

    def _signal(self, number: int) -> None:
        for pid in self._pids.values():
            os.kill(pid, number)


class Forked:
    """A process that runs a function until it has to stop."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._pid = fork(function)

    def look(self) -> None:
        """Leave it alone."""

    def let_go(self) -> None:
        """Leave it alone: it reports on the workers until the end."""

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        os.waitpid(self._pid, 0)


def fork(function: Callable[[], None]) -> int:
    """Run a function in a new process, which shares the memory of this one; return its id."""
    server = os.getpid()
    numbers = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    # The server's handlers come along: what is sent to the child must not go to them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in numbers:
            # Until there is something to lose, a child may end at once.
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # reaches the server, which then ends us
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _stop_with(server)
        function()
        code = 0
    except BaseException:
        log.exception("process_failed")
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(
    settings: Settings,
    host: str,
    port: int,
    *,
    workers: int,
    worker_beside: bool,
    overlap: bool = False,
    takes_over_from: int | None = None,
) -> int:
    """Run the server and what belongs to it; return the exit code.

    It ends the process that it takes over from once all its workers answer.
    """
    overlap = overlap or takes_over_from is not None
    _allow_connections()
    logs.configure(settings)
    sockets = listeners.listen(
        host, port, workers, overlap=overlap, otherwise="choose another with --listen"
    )
    claim = listeners.claim_database(settings, overlap=overlap)
    with tempfile.TemporaryDirectory(prefix="idp-metrics-") as folder:
        # Must be known before a worker imports prometheus-client.
        os.environ[metrics.FOLDER_VARIABLE] = folder
        scraped = observer.listen(
            settings.metrics_listen, name="IDP_METRICS_LISTEN", overlap=overlap
        )
        _share_memory(settings, workers)
        on_ready = partial(_announce, takes_over_from)
        server = Server(sockets, partial(work, settings, releases.node_name()), on_ready)
        if scraped is not None:
            observe = partial(observer.observe, settings, scraped, Path(folder))
            server.neighbours.append(Forked(observe))
        if worker_beside:
            server.neighbours.append(OutboxWorker(settings))
        log.info("server_started", address=f"{host}:{port}", workers=workers, pid=os.getpid())
        code = server.run()
        log.info("server_stopped", pid=os.getpid())
    if claim is not None:
        os.close(claim)
    return code


def _announce(takes_over_from: int | None) -> None:
    """Notify the service manager that this process serves now, and the one before to end."""
    log.info("server_ready", pid=os.getpid())
    if address := notify_socket():
        if address.startswith("@"):
            address = "\0" + address[1:]
        with socket(AF_UNIX, SOCK_DGRAM) as manager, contextlib.suppress(OSError):
            manager.sendto(f"MAINPID={os.getpid()}\nREADY=1".encode(), address)
    if takes_over_from == os.getppid():  # else it ended by itself
        os.kill(takes_over_from, signal.SIGTERM)


def _share_memory(settings: Settings, workers: int) -> None:
    """Import what every worker needs before there is one: forked, they share it.

    A single worker has none to share with. It imports what machines do not ask for while it
    already answers them; see `_finish`.
    """
    gc.disable()
    names = ["prometheus_client"]
    if not settings.database.startswith("sqlite"):
        names += ["psycopg", "idp.platform.postgres"]
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


def work(settings: Settings, node: str, listener: socket, ready: Ready) -> None:
    """Build the application and serve, in a worker process of a node."""
    app = create_front(settings)
    threading.Thread(target=_finish, args=(app, settings), name="pages", daemon=True).start()
    runtime: Runtime = app.extensions["idp"]
    runtime.counts.sources.append(_report_memory)
    releases.start_noting(runtime, threading.Event(), node)
    pool = None
    if runtime.engine.dialect.name == "postgresql":
        from idp.platform.postgres import Pool  # noqa: PLC0415 - SQLite has no use for the driver

        pool = Pool(
            runtime.engine,
            prepare=settings.database_prepare,
            counts=runtime.counts,
            slow_seconds=settings.slow_seconds,
        )
    door = cast("MachineDoor", app.wsgi_app)
    bridge = Bridge(
        door,
        threads=THREADS,
        storage=partial(
            LoopStorage if runtime.tracer is None else TracedLoopStorage, runtime, pool
        ),
        files=limits.FILES,
        on_stopped=partial(_write_and_close, runtime, pool),
        on_stopping=app.extensions[health.EXTENSION].stopping.set,
        on_look=partial(_write_counts, door, runtime),
        counts=runtime.counts,
        uploads=limits.UPLOADS,
        secure=settings.secure,
    )
    serve(bridge, listener, ready)


def _write_counts(door: MachineDoor, runtime: Runtime) -> None:
    """Write what was counted and, on a thread of its own, which secrets were used."""
    door.metrics.write()
    if runtime.uses.is_due():
        threading.Thread(target=uses.write, args=(runtime,), name="uses", daemon=True).start()


def _report_memory(counts: Counts) -> None:
    """Report the memory that this worker uses, where the system shows it."""
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        counts.set(MEMORY, pages * resource.getpagesize())


def _write_and_close(runtime: Runtime, pool: Pool | None) -> None:
    """Write the last uses of secrets, close connections, and send the last traces."""
    uses.write(runtime)
    if pool is not None:
        pool.close()
    if runtime.tracer is not None:
        runtime.tracer.close()


def serve(bridge: Bridge, listener: socket, ready: Ready) -> None:
    """Serve until SIGTERM."""
    loop = new_loop()
    asyncio.set_event_loop(loop)

    async def run() -> None:
        # Not before the loop runs: uvloop forgets a signal that comes in between.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, bridge.stop)
        await bridge.run(listener, ready)

    loop.run_until_complete(run())
    loop.close()


def new_loop() -> asyncio.AbstractEventLoop:
    """Make the fastest loop that there is."""
    try:
        import uvloop  # noqa: PLC0415 - not for every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _finish(app: Flask, settings: Settings) -> None:
    """Put everything else behind the front, beside requests; without it the worker ends."""
    # Machines first; the first request for a page ends the pause.
    app.extensions[EXTENSION].needed.wait(PAUSE_SECONDS)
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


class _Signals:
    """Signals that are waited for, and workers that report ready."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        for number in self._numbers:
            signal.signal(number, lambda *_: None)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        signal.set_wakeup_fd(self._before)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> bytes:
        """Wait for some seconds at most; return the numbers of what arrived."""
        select.select([self._read], [], [], seconds)
        try:
            return os.read(self._read, 1024)
        except BlockingIOError:
            return b""

    def report_ready(self) -> None:
        """Report, from a worker, that it is ready."""
        os.write(self._write, bytes([READY]))


def _stop_with(server: int) -> None:
    """Stop when the server was killed: a process without a parent would go on for ever."""

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == server:
            pause.wait(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="server watch", daemon=True).start()


def _allow_connections() -> None:
    """Raise the limit of open files, which counts connections too, as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS * 2
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
