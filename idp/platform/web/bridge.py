"""Between the server's event loop and the WSGI application.

A body is read whole on the loop, under a size and a time limit; only then does the request take a
thread. So a visitor who sends half a body holds a few kilobytes and nothing that others need.

Uploads are too large for that: they take a thread of a small pool of their own, which looks at the
token first and then reads the body while it arrives. Health checks and files have small pools too:
the first must not wait for others, nor others for the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from io import BytesIO
from secrets import token_hex
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson
import structlog

from idp.platform.at_once import NeedsThreadError
from idp.platform.cooperative import spawn
from idp.platform.errors import BadRequest, Problem, TooLarge, TooSlow, Unavailable
from idp.platform.web import cors, plain
from idp.platform.web.requests import (
    FILES,
    HEALTH,
    MAX_BODY,
    no_write,
    read_whole,
    security_headers,
)
from idp.platform.web.visit import AT_ONCE_KEY, WSGI, Environ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger("idp.bridge")

BODY_SECONDS = 15.0
"""Time that a whole body may take to arrive."""
UPLOAD_SECONDS = 60.0
"""Time that an upload may take to arrive; a thread of the small pool waits for it."""
UPLOAD_THREADS = 4
MOST_UPLOADS = 64
"""Uploads that wait for a thread or hold one; whoever comes then is asked to come back."""
FILE_THREADS = 3
MOST_FILES = 64
"""As of uploads: a file may come from far away."""
RETRY_SECONDS = 2
QUIET_SECONDS = 0.3
"""While stopping: how long no request must have come before connections are cut."""
DRAIN_SECONDS = 20.0
"""While stopping: the longest wait for that."""

PIECE = 64 * 1024

_FAILED = 500

Headers = list[tuple[str, str]]


class Scope(Protocol):
    """What the server knows of a request (RSGI)."""

    proto: str
    http_version: str
    client: str
    server: str
    method: str
    path: str
    query_string: str

    @property
    def headers(self) -> Any:
        """Header names in lower case, and values."""


class Exchange(Protocol):
    """The way to body and answer of a request (RSGI)."""

    def __call__(self) -> Awaitable[bytes]:
        """Receive the whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the whole answer."""


class Bridge:
    """One worker process: reads bodies, runs the application on threads, stops without losses."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        application: WSGI,
        *,
        threads: int,
        at_once: Callable[[Scope], bool] = lambda _scope: False,
        on_stopping: Callable[[], None] = lambda: None,
        on_stopped: Callable[[], None] = lambda: None,
        body_seconds: float = BODY_SECONDS,
        max_body: int = MAX_BODY,
        uploads: Mapping[str, int] | None = None,
        upload_seconds: float = UPLOAD_SECONDS,
        secure: bool = False,
    ) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._upload_threads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="upload")
        self._health_threads = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._file_threads = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="file")
        self._fetching = 0
        self._uploads = uploads or {}
        self._upload_seconds = upload_seconds
        self._uploading = 0
        self._headers = [(name.lower(), value) for name, value in security_headers(secure=secure)]
        self._at_once = at_once
        self._on_stopping = on_stopping
        self._on_stopped = on_stopped
        self._body_seconds = body_seconds
        self._max_body = max_body
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way = 0
        self._last = 0.0
        self._stopping = False
        self._drained: asyncio.Task[None] | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin: the server has put its own handlers on SIGINT and SIGTERM."""
        self._loop = loop
        loop.add_signal_handler(signal.SIGTERM, self.stop)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """End."""
        self._threads.shutdown(wait=True)
        self._upload_threads.shutdown(wait=True)
        self._health_threads.shutdown(wait=True)
        self._file_threads.shutdown(wait=True)
        self._on_stopped()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        self._under_way += 1
        self._last = time.monotonic()
        try:
            try:
                status, headers, body = await self._answer(scope, exchange)
            except Exception:
                status, headers, body = self._refuse(scope, Problem("Something went wrong here"))
                log.exception("request_failed", request_id=dict(headers)["x-request-id"])
            if self._stopping:
                headers = [pair for pair in headers if pair[0] != "connection"]
                headers.append(("connection", "close"))
            exchange.response_bytes(status, headers, body)
        finally:
            self._under_way -= 1

    def stop(self) -> None:
        """Finish what is under way, tell every connection to close, then leave."""
        if self._stopping or self._loop is None:
            return
        self._stopping = True
        self._on_stopping()
        self._last = time.monotonic()
        self._drained = self._loop.create_task(self._drain())

    async def _answer(self, scope: Scope, exchange: Exchange) -> tuple[int, Headers, bytes]:
        headers = scope.headers
        body = b""
        if scope.method not in {"GET", "HEAD"} or "content-length" in headers:
            is_upload = scope.method == "POST" and scope.path in self._uploads
            most = self._uploads[scope.path] if is_upload else self._max_body
            length = headers.get("content-length", "0")
            if not length.isascii() or not length.isdigit():
                return self._refuse(scope, BadRequest("Malformed Content-Length"))
            if int(length[:20]) > most:
                return self._too_large(scope, most)
            if is_upload:
                return await self._take_upload(scope, exchange, most)
            try:
                # A declared length is kept by the server; a body without one may have any.
                read = exchange() if "content-length" in headers else self._read(exchange)
                body = await _within(self._body_seconds, read)
            except TimeoutError:
                log.info("body_timed_out", remote_addr=scope.client)
                return self._refuse(scope, TooSlow("The body did not arrive in time"))
            except _TooLargeError:
                return self._too_large(scope, most)
        return await self._take(scope, body)

    async def _take(self, scope: Scope, body: bytes) -> tuple[int, Headers, bytes]:
        """Answer a request whose body is here."""
        if self._at_once(scope):
            # What needs no thread is answered here: to take one costs more than many an answer.
            environ = environment(scope, BytesIO(body), len(body))
            environ[AT_ONCE_KEY] = True
            with contextlib.suppress(NeedsThreadError):
                return await spawn(self._run, environ)
        assert self._loop is not None  # noqa: S101 - __rsgi_init__ came first
        environ = environment(scope, BytesIO(body), len(body))
        if scope.path in HEALTH:
            # Whoever asks whether we live does not stand in line with everybody else.
            return await self._loop.run_in_executor(self._health_threads, self._run, environ)
        if scope.path.startswith(FILES):
            return await self._take_file(scope, environ)
        return await self._loop.run_in_executor(self._threads, self._run, environ)

    async def _take_file(self, scope: Scope, environ: Environ) -> tuple[int, Headers, bytes]:
        """Let a thread of the small pool read a file, which may be far away."""
        if self._fetching >= MOST_FILES:
            return self._refuse(scope, Unavailable("Too many files at once; try again"))
        assert self._loop is not None  # noqa: S101 - __rsgi_init__ came first
        self._fetching += 1
        try:
            return await self._loop.run_in_executor(self._file_threads, self._run, environ)
        finally:
            self._fetching -= 1

    async def _take_upload(
        self, scope: Scope, exchange: Exchange, most: int
    ) -> tuple[int, Headers, bytes]:
        """Let a thread of the small pool read the body while it arrives."""
        if self._uploading >= MOST_UPLOADS:
            return self._refuse(scope, Unavailable("Too many uploads; try again"))
        assert self._loop is not None  # noqa: S101 - __rsgi_init__ came first
        incoming = Incoming(exchange, self._loop, most, self._upload_seconds)
        length = scope.headers.get("content-length")
        stream = io.BufferedReader(incoming, PIECE)
        environ = environment(scope, stream, None if length is None else int(length))
        self._uploading += 1
        try:
            status, headers, body = await self._loop.run_in_executor(
                self._upload_threads, self._run, environ
            )
        finally:
            self._uploading -= 1
        if not await incoming.discard(self._body_seconds):
            headers.append(("connection", "close"))
        return status, headers, body

    async def _read(self, exchange: Exchange) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in exchange:
            size += len(piece)
            if size > self._max_body:
                raise _TooLargeError
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self, scope: Scope, most: int) -> tuple[int, Headers, bytes]:
        return self._refuse(scope, TooLarge(f"The request body exceeds {most} bytes"))

    def _refuse(self, scope: Scope, problem: Problem) -> tuple[int, Headers, bytes]:
        """Answer without the application; what is left of the body is not read."""
        request_id = token_hex(8)
        log.info(
            "request_refused", status=problem.status, detail=problem.detail, request_id=request_id
        )
        asked = scope.headers
        headers = [*self._headers, ("connection", "close"), ("x-request-id", request_id)]
        if isinstance(problem, Unavailable):
            headers.append(("retry-after", str(RETRY_SECONDS)))
        if plain.wants_page(asked.get("accept", ""), asked.get("sec-fetch-mode", "")):
            answer = plain.page(problem, request_id, asked.get("accept-language", ""))
            headers = [pair for pair in headers if pair[0] != "content-security-policy"]
            headers += [(name.lower(), value) for name, value in answer.headers]
            headers.append(("content-security-policy", plain.POLICY))
            return answer.status, headers, answer.body
        code = "server_error" if problem.status >= _FAILED else "invalid_request"
        headers += [("content-type", "application/json"), ("cache-control", "no-store")]
        headers += [(name.lower(), value) for name, value in cors.ANYBODY]
        body = orjson.dumps({"error": code, "error_description": problem.detail})
        return problem.status, headers, body

    def _run(self, environ: Environ) -> tuple[int, Headers, bytes]:
        """Call the application, on a thread."""
        status = 500
        headers: Headers = []

        def start_response(line: str, given: Headers, _exc_info: Any = None, /) -> Any:
            nonlocal status
            status = int(line[:3])
            headers[:] = [(name.lower(), value) for name, value in given]
            return no_write

        body = read_whole(self._application(environ, start_response))
        return status, headers, body

    async def _drain(self) -> None:
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end:
            await asyncio.sleep(0.05)
            if not self._under_way and time.monotonic() - self._last > QUIET_SECONDS:
                break
        # The server's own handler still sits on SIGINT; it closes what is left.
        os.kill(os.getpid(), signal.SIGINT)


class _TooLargeError(Exception):
    """A body went past its limit."""


async def _within(seconds: float, awaitable: Awaitable[bytes]) -> bytes:
    """Wait for a body; TimeoutError after some seconds.

    What `asyncio.timeout` does, by one timer: every body passes here.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - the server runs every request in one
    is_late = False

    def end() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    timer = task.get_loop().call_later(seconds, end)
    try:
        return await awaitable
    except asyncio.CancelledError:
        if is_late and task.uncancel() == 0:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


class Incoming(io.RawIOBase):
    """A body that a thread reads while the loop receives it."""

    def __init__(
        self, exchange: Exchange, loop: asyncio.AbstractEventLoop, most: int, seconds: float
    ) -> None:
        super().__init__()
        self._pieces = aiter(exchange)
        self._loop = loop
        self._left = most
        self._deadline = loop.time() + seconds
        self._held = b""

    def readable(self) -> bool:
        """Tell `BufferedReader` that this can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Wait for the next piece, on any thread but the loop's; TooSlow past the deadline."""
        if not self._held:
            future = asyncio.run_coroutine_threadsafe(self._receive(), self._loop)
            try:
                self._held = future.result()
            except TimeoutError:
                raise TooSlow from None
        taken = self._held[: len(buffer)]
        buffer[: len(taken)] = taken
        self._held = self._held[len(taken) :]
        return len(taken)

    async def discard(self, seconds: float) -> bool:
        """Take what nobody has read, so that its sender gets to read the answer.

        Tells whether the whole body came; else the connection cannot go on.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._left >= 0 and (piece := await self._next()):
                    self._left -= len(piece)
        except TimeoutError:
            return False
        return self._left >= 0

    async def _receive(self) -> bytes:
        """Give the next piece; an empty one at the end, which is where the limit is passed too."""
        try:
            async with asyncio.timeout_at(self._deadline):
                piece = await self._next()
        except TimeoutError:
            self._left = -1
            raise
        self._left -= len(piece)
        return piece if self._left >= 0 else b""

    async def _next(self) -> bytes:
        # Not `anext(…, b"")`: what it puts around granian's awaitable ends the process.
        try:
            return bytes(await anext(self._pieces))
        except StopAsyncIteration:
            return b""


def environment(scope: Scope, stream: IO[bytes], length: int | None) -> Environ:
    """Describe a request as WSGI does; without a length the stream tells where the body ends."""
    host, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "CONTENT_LENGTH": "" if length is None else str(length),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": stream,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        # `X_Forwarded_For` would turn into the same variable as `X-Forwarded-For`.
        key = _variable(name)
        if key is None:
            continue
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"  # noqa: PLW2901
        environ[key] = value
    return environ


@lru_cache(maxsize=256)
def _variable(name: str) -> str | None:
    """Name the variable of a header; None for those that are told otherwise."""
    if "_" in name or name == "content-length":
        return None
    return "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
