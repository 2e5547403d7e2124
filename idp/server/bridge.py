"""Between the connections of one worker process and the application.

A body is read whole on the loop, under a size and a time limit; only then does the request take a
thread. So a visitor who sends half a body holds a few kilobytes and nothing that others need.

Uploads are too large for that: they take a thread of a small pool of their own, which looks at the
token first and then reads the body while it arrives.
"""

from __future__ import annotations

import asyncio
import io
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from io import BytesIO
from secrets import token_hex
from typing import IO, Any, Protocol

import orjson
import structlog
from werkzeug.exceptions import ClientDisconnected

from idp.platform import logs
from idp.platform.errors import TooSlow
from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import LOOP_LAG, THREADS_BUSY
from idp.platform.storage import Storage
from idp.platform.web import cors, plain
from idp.platform.web.requests import HEALTH, MAX_BODY, security_headers
from idp.platform.web.visit import Environ, Request, Sent
from idp.server.connection import BODY_SECONDS, Connection, RefusedError, Sink
from idp.server.listeners import BACKLOG

log = structlog.get_logger("idp.bridge")

UPLOAD_SECONDS = 60.0
"""Time that an upload may take to arrive; a thread of the small pool waits for it."""
UPLOAD_THREADS = 4
MOST_UPLOADS = 64
"""Uploads that wait for a thread or hold one; further ones are answered 503."""
MOST_PIECES = 256 * 1024
"""Bytes of an upload that wait to be read."""
FILE_THREADS = 3
"""Threads that read files, which may lie in a bucket far away."""
MOST_FILES = 64
"""Requests for files that wait for a thread or hold one."""
RETRY_SECONDS = 2
CONNECTIONS = 4096
"""Connections that one worker keeps open; silent ones cost a few kilobytes and no thread."""
LOOK_SECONDS = 0.5
"""How often connections are looked through for those that take too long."""
QUIET_SECONDS = 0.3
"""While stopping: how long no request must have come before connections are cut."""
DRAIN_SECONDS = 20.0
"""While stopping: the longest wait for that."""

_CODES = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "server_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "temporarily_unavailable",
}
"""What RFC 6749 4.1.2.1 calls them; anything else is `invalid_request`."""


class Application(Protocol):
    """What a worker serves."""

    def start(
        self, request: Request, storage: Callable[[], Storage]
    ) -> Coroutine[Any, Any, Sent | None] | None:
        """Return the coroutine that answers a request on the event loop, where there is one.

        None from the coroutine: a thread must answer, from the start.
        """

    def answer_on_thread(self, request: Request, environ: Environ) -> Sent:
        """Answer a request, on a thread."""


class Bridge:
    """One worker process: runs the application on loop and threads, stops without losses."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        application: Application,
        *,
        threads: int,
        storage: Callable[[Executor], Storage],
        files: str = "/files/",
        on_stopping: Callable[[], None] = lambda: None,
        on_stopped: Callable[[], None] = lambda: None,
        on_look: Callable[[], None] = lambda: None,
        counts: Counts | None = None,
        body_seconds: float = BODY_SECONDS,
        max_body: int = MAX_BODY,
        uploads: Mapping[str, int] | None = None,
        upload_seconds: float = UPLOAD_SECONDS,
        secure: bool = False,
    ) -> None:
        self._application = application
        self._headers = [(name.lower(), value) for name, value in security_headers(secure=secure)]
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._upload_threads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="upload")
        self._health_threads = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._file_threads = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="file")
        self._fetching = 0
        self._uploads = uploads or {}
        self._upload_seconds = upload_seconds
        self._uploading = 0
        self._files = files
        self._storage = partial(storage, self._threads)
        self._on_stopping = on_stopping
        self._on_stopped = on_stopped
        self._on_look = on_look
        self._max_body = max_body
        self._connections: set[Connection] = set()
        self._under_way = 0
        self._on_threads = 0
        self._counts = counts or Counts()
        self._counts.sources.append(self._report)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0.0
        self._stop_requested = asyncio.Event()
        self.body_seconds = body_seconds
        self.stopping = False

    async def run(
        self, listener: socket.socket, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        """Serve until `stop` is called."""
        self.loop = loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), sock=listener, backlog=BACKLOG)
        logs.begin_turns(loop)
        looking = loop.create_task(self._look())
        on_ready()
        await self._stop_requested.wait()
        await self._drain()
        looking.cancel()
        server.close()
        await self._hang_up()
        self.close()
        logs.end_turns()

    def close(self) -> None:
        """Wait for the threads, and let go what the application holds."""
        pools = (self._threads, self._upload_threads, self._health_threads, self._file_threads)
        for pool in pools:
            pool.shutdown(wait=True)
        self._on_look()
        self._on_stopped()

    def stop(self) -> None:
        """Finish what is under way, tell every connection to close, then leave."""
        if self.stopping:
            return
        self.stopping = True
        self._on_stopping()
        self._last = time.monotonic()
        self._stop_requested.set()

    # What connections call.

    def opened(self, connection: Connection) -> None:
        """Count a connection in; where there are too many, the one that is idle longest goes."""
        self._last = time.monotonic()
        if len(self._connections) >= CONNECTIONS:
            idle = [other for other in self._connections if other.is_waiting]
            victim = min(
                idle, key=lambda other: (other.is_busy, other.deadline), default=connection
            )
            victim.cut()
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)

    def most(self, request: Request) -> int:
        """Return how long the body of a request may be."""
        if request.method == "POST" and request.path in self._uploads:
            return self._uploads[request.path]
        return self._max_body

    def refusal(self, status: HTTPStatus, detail: str, request: Request | None) -> Sent:
        """Write an answer that the application has no part in: a page for a browser, else JSON."""
        request_id = token_hex(8)
        log.info("request_refused", status=status.value, detail=detail, request_id=request_id)
        headers = [*self._headers, ("connection", "close"), ("x-request-id", request_id)]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("retry-after", str(RETRY_SECONDS)))
        accepted = {} if request is None else request.headers
        if plain.wants_page(
            accepted.get("HTTP_ACCEPT", ""), accepted.get("HTTP_SEC_FETCH_MODE", "")
        ):
            languages = accepted.get("HTTP_ACCEPT_LANGUAGE", "")
            page = plain.page_for(status.value, detail, request_id, languages)
            headers = [pair for pair in headers if pair[0] != "content-security-policy"]
            headers += [(name.lower(), value) for name, value in page.headers]
            headers.append(("content-security-policy", plain.POLICY))
            return page.status, headers, page.body
        code = _CODES.get(status, "invalid_request")
        headers += [("content-type", "application/json"), ("cache-control", "no-store")]
        headers += [(name.lower(), value) for name, value in cors.ANYBODY]
        return (
            status.value,
            headers,
            orjson.dumps({"error": code, "error_description": detail}),
        )

    def take(self, connection: Connection, request: Request) -> None:
        """Answer a request whose body is here."""
        self._last = time.monotonic()
        coroutine = self._application.start(request, self._storage)
        if coroutine is None:
            self._take_thread(connection, request)
            return
        try:
            # Most requests are answered without a wait; only the others are worth a task.
            waiting = coroutine.send(None)
        except StopIteration as end:
            self._answer_or_pass_on(connection, request, end.value)
        except Exception as error:  # noqa: BLE001 - the application answers for its own errors
            self._fail(connection, error)
        else:
            self._under_way += 1
            task = self.loop.create_task(self._finish(connection, request, coroutine, waiting))
            self._tasks.add(task)  # the loop itself would forget it
            task.add_done_callback(self._tasks.discard)

    def take_upload(
        self, connection: Connection, request: Request, length: int | None
    ) -> Sink | None:
        """Have a thread of the small pool read the body while it arrives."""
        if request.method != "POST" or request.path not in self._uploads:
            return None
        if self._uploading >= MOST_UPLOADS:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "Too many uploads; try again")
        self._last = time.monotonic()
        incoming = Incoming(connection, self.loop, self._upload_seconds)
        environ = environment(request, io.BufferedReader(incoming, MOST_PIECES), length)
        self._uploading += 1
        request.environ = environ
        self._submit(connection, self._upload_threads, request, environ, self._count_upload_out)
        return incoming

    # How requests are answered.

    def _count_upload_out(self) -> None:
        self._uploading -= 1

    async def _finish(
        self,
        connection: Connection,
        request: Request,
        coroutine: Coroutine[Any, Any, Sent | None],
        waiting: Any,
    ) -> None:
        """Follow a coroutine that waits, and answer."""
        try:
            found = await _Rest(coroutine, waiting)
        except Exception as error:  # noqa: BLE001 - the application answers for its own errors
            self._under_way -= 1
            self._fail(connection, error)
        else:
            self._under_way -= 1
            self._answer_or_pass_on(connection, request, found)

    def _answer_or_pass_on(
        self, connection: Connection, request: Request, found: Sent | None
    ) -> None:
        if found is None:
            self._take_thread(connection, request)
        else:
            self._answer(connection, found)

    def _take_thread(self, connection: Connection, request: Request) -> None:
        environ = environment(request, BytesIO(request.body), len(request.body))
        if request.path in HEALTH:
            # A server that is busy is not a server that is ill.
            self._submit(connection, self._health_threads, request, environ)
        elif not request.path.startswith(self._files):
            self._submit(connection, self._threads, request, environ)
        elif self._fetching >= MOST_FILES:
            connection.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many files at once; try again")
        else:
            self._fetching += 1
            self._submit(connection, self._file_threads, request, environ, self._count_file_out)

    def _count_file_out(self) -> None:
        self._fetching -= 1

    def _submit(
        self,
        connection: Connection,
        pool: ThreadPoolExecutor,
        request: Request,
        environ: Environ,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        def done(future: asyncio.Future[Sent]) -> None:
            self._under_way -= 1
            self._on_threads -= 1
            on_done()
            error = future.exception()
            if error is None:
                status, headers, body = future.result()
                named = [(name.lower(), value) for name, value in headers]
                self._answer(connection, (status, named, body))
            else:
                self._fail(connection, error)

        self._under_way += 1
        self._on_threads += 1
        answer = self._application.answer_on_thread
        self.loop.run_in_executor(pool, answer, request, environ).add_done_callback(done)

    def _answer(self, connection: Connection, answer: Sent) -> None:
        try:
            connection.answer(*answer)
        except ValueError as error:
            self._fail(connection, error)

    @staticmethod
    def _fail(connection: Connection, error: BaseException) -> None:
        """Answer an error in how the application answers for its own."""
        log.error("request_not_answered", exc_info=error)
        connection.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error")

    # Time.

    async def _look(self) -> None:
        while True:
            planned = self.loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            now = self.loop.time()
            self._counts.observe(LOOP_LAG, max(0.0, now - planned))
            for connection in [one for one in self._connections if one.deadline <= now]:
                connection.expire()
            try:
                self._on_look()
            except Exception:
                log.exception("look_failed")  # slow requests are still looked for

    def _report(self, counts: Counts) -> None:
        counts.set(THREADS_BUSY, self._on_threads)

    async def _drain(self) -> None:
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end:
            await asyncio.sleep(0.05)
            is_quiet = time.monotonic() - self._last > QUIET_SECONDS
            if (
                is_quiet
                and not self._under_way
                and not any(connection.is_busy for connection in self._connections)
            ):
                break

    async def _hang_up(self) -> None:
        for connection in list(self._connections):
            connection.end()
        await asyncio.sleep(0)  # what was written is sent now, or its reader is too slow
        for connection in list(self._connections):
            connection.cut()
        await asyncio.sleep(0)


class _Rest:
    """What is left of a coroutine that was begun, as something that a task can await."""

    def __init__(self, coroutine: Coroutine[Any, Any, Sent | None], waiting: Any) -> None:
        self._coroutine = coroutine
        self._waiting = waiting

    def __await__(self) -> Generator[Any, Any, Sent | None]:
        coroutine, waiting = self._coroutine, self._waiting
        try:
            while True:
                try:
                    value = yield waiting
                except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine
                    waiting = coroutine.throw(error)
                else:
                    waiting = coroutine.send(value)
        except StopIteration as end:
            found: Sent | None = end.value
            return found


class Incoming(io.RawIOBase):
    """A body that a thread reads while the loop receives it."""

    def __init__(
        self, connection: Connection, loop: asyncio.AbstractEventLoop, seconds: float
    ) -> None:
        super().__init__()
        self._connection = connection
        self._loop = loop
        self._deadline = time.monotonic() + seconds
        self._condition = threading.Condition()
        self._pieces = bytearray()
        self._is_over = False
        self._is_broken = False
        self._is_invited = False

    # On the loop.

    def feed(self, piece: bytes) -> bool:
        """Take a piece; False when no more should come for a while."""
        with self._condition:
            self._pieces += piece
            self._condition.notify()
            return len(self._pieces) < MOST_PIECES

    def end(self, *, complete: bool) -> None:
        """Learn that nothing more will come."""
        with self._condition:
            self._is_over = True
            self._is_broken = not complete
            self._condition.notify()

    # On a thread.

    def readable(self) -> bool:
        """Return True: `BufferedReader` asks whether this can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Wait for the next piece; TooSlow past the deadline."""
        with self._condition:
            if not self._is_invited:
                self._is_invited = True
                self._loop.call_soon_threadsafe(self._connection.invite)
            while not self._pieces and not self._is_over:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    raise TooSlow
                self._condition.wait(left)
            if self._is_broken:
                raise ClientDisconnected
            taken = min(len(self._pieces), len(buffer))
            buffer[:taken] = self._pieces[:taken]
            del self._pieces[:taken]
            if not self._pieces and not self._is_over:
                self._loop.call_soon_threadsafe(self._connection.resume)
            return taken


_SAME = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def environment(request: Request, stream: IO[bytes], length: int | None) -> Environ:
    """Describe a request as WSGI does; without a length the stream tells where the body ends."""
    host, port = request.server
    return {
        **_SAME,
        **request.headers,
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": request.client,
        "CONTENT_LENGTH": "" if length is None else str(length),
        "wsgi.input": stream,
        "wsgi.errors": sys.stderr,
    }
