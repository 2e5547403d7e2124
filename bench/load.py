"""The closed-loop load generator: a connection sends its next request when the last is answered.

One request over and over is sent by wrk where it is installed (`apt-get install wrk`). Flows whose
requests depend on answers, and everything where there is no wrk, are sent by `Driver`: plain
sockets and one selector in this process. What it costs is taken from the same two cores, from ours
and the peers' alike.
"""

from __future__ import annotations

import re
import selectors
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode, urlsplit

CONNECTIONS = 16
WARM_SECONDS = 0.3

Meter = Callable[[], Sequence[float]]
"""Reads processor times, in seconds, of those whose work a round measures."""

FORM = "application/x-www-form-urlencoded"


class LoadError(Exception):
    """A server answered something else than the case expects; its figures would be worthless."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    head: str
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the server closes the connection."""
        return "connection: close" in self.head.lower()

    def header(self, name: str) -> str:
        """Return a header that must be there."""
        found = re.search(rf"(?im)^{re.escape(name)}: *(.*?)\r?$", self.head)
        if found is None:
            raise LoadError(f"no {name} in {self.head}")
        return found[1]

    def cookies(self) -> str:
        """Return the cookies that it sets, as a browser sends them back."""
        return "; ".join(re.findall(r"(?im)^set-cookie: *([^;\r]*=[^;\r]+)", self.head))

    def expect(self, *statuses: int) -> Answer:
        """Return the answer if it has one of these statuses; raise `LoadError` otherwise."""
        if self.status not in statuses:
            raise LoadError(f"{self.status} {self.head}\n{self.body[:500]!r}")
        return self


@dataclass(frozen=True)
class Request:
    """An HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    host: str = ""
    """Host and port, where they are not those that the script is driven against."""

    @classmethod
    def form(cls, path: str, values: Mapping[str, str], **headers: str) -> Request:
        """Make a POST of a form."""
        return cls("POST", path, {"Content-Type": FORM, **headers}, urlencode(values))

    def wire(self, host: str) -> bytes:
        """Write it as HTTP/1.1."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.method != "GET":
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


Script = Callable[[], Generator[Request | None, Answer, None]]
"""What one connection does, for ever: yields requests, gets answers.

None is yielded when the preparations are over, and again after every unit that counts.
"""


@dataclass(frozen=True)
class Taken:
    """What one round found."""

    units: int
    seconds: float
    p50: float
    """Milliseconds."""
    p99: float
    spent: Sequence[float] = ()
    """Seconds of processor time, as the meter reads them."""

    @property
    def rate(self) -> float:
        """Units in a second."""
        return self.units / self.seconds


def repeat(request: Request) -> Script:
    """Make the script that sends one request over and over."""

    def script() -> Generator[Request | None, Answer, None]:
        yield None
        while True:
            (yield request).expect(200)
            yield None

    return script


def generator() -> str:
    """Name what sends requests that never change."""
    return "wrk" if shutil.which("wrk") else "bench/load.py"


def send(
    url: str,
    request: Request,
    seconds: float,
    connections: int = CONNECTIONS,
    meter: Meter = tuple,
) -> Taken:
    """Send one request over and over."""
    if not shutil.which("wrk") or request.host:
        return drive(url, repeat(request), seconds, connections, meter)
    before = meter()
    taken = _wrk(url, request, seconds, connections)
    return replace(taken, spent=_difference(before, meter()))


def _difference(before: Sequence[float], after: Sequence[float]) -> Sequence[float]:
    return [end - start for start, end in zip(before, after, strict=True)]


def once(url: str, request: Request) -> Answer:
    """Send one request and return the answer."""
    host = request.host or urlsplit(url).netloc
    with _connect(host) as connection:
        connection.sendall(request.wire(host))
        received = b""
        while True:
            piece = connection.recv(65536)
            received += piece
            answer = _read(received)
            if answer is not None:
                return answer
            if not piece:
                raise LoadError(f"{request.path}: the connection ended")


def _connect(host: str) -> socket.socket:
    name, _, port = host.partition(":")
    connection = socket.create_connection((name, int(port)), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _wrk(url: str, request: Request, seconds: float, connections: int) -> Taken:
    quoted = "\n".join(f"wrk.headers[{_lua(k)}] = {_lua(v)}" for k, v in request.headers.items())
    script = f"wrk.method = {_lua(request.method)}\n{quoted}\n"
    if request.body:
        script += f"wrk.body = {_lua(request.body)}\n"
    script += (
        "done = function(summary, latency, requests)\n"
        'io.write(string.format("taken %d %d %d %d %d\\n", summary.requests, summary.duration,'
        " latency:percentile(50), latency:percentile(99), summary.errors.status"
        " + summary.errors.connect + summary.errors.read + summary.errors.timeout))\nend\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        done = subprocess.run(
            [*command, "-s", file.name, url + request.path],
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"taken (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    if found is None or int(found[5]):
        raise LoadError(f"{url}{request.path}: {done.stdout}")
    units, micros, p50, p99 = (int(number) for number in found.groups()[:4])
    return Taken(units, micros / 1e6, p50 / 1000, p99 / 1000)


def _lua(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def drive(
    url: str,
    script: Script,
    seconds: float,
    connections: int = CONNECTIONS,
    meter: Meter = tuple,
) -> Taken:
    """Follow a script on every connection for a while."""
    return _Driver(urlsplit(url).netloc, script, connections).run(seconds, meter)


class _Line:
    """One closed loop: where its script stands, and its connection to each host."""

    def __init__(self, host: str, script: Script, selector: selectors.BaseSelector) -> None:
        self.steps = script()
        self.sent: Request | None = None
        self.started = 0.0
        self.is_ready = False
        self.host = host
        self._default = host
        self._selector = selector
        self._sockets: dict[str, socket.socket] = {}
        self._received = b""

    def send(self, request: Request) -> None:
        """Send a request on the connection to its host; open that when there is none."""
        self.sent, self.host = request, request.host or self._default
        if self.host not in self._sockets:
            self._sockets[self.host] = _connect(self.host)
            self._selector.register(
                self._sockets[self.host], selectors.EVENT_READ, (self, self.host)
            )
        self._sockets[self.host].sendall(request.wire(self.host))

    def receive(self, host: str) -> Answer | None:
        """Read what has arrived; return the answer once it is complete."""
        piece = self._sockets[host].recv(65536)
        self._received += piece
        answer = _read(self._received) if piece else None
        if not piece or (answer is not None and answer.is_last):
            self._selector.unregister(self._sockets[host])
            self._sockets.pop(host).close()
        if answer is not None:
            self._received = b""
        elif not piece and host == self.host and self.sent is not None:
            self._received = b""  # closed between two requests
            self.send(self.sent)
        return answer

    def close(self) -> None:
        """Close every connection."""
        for connection in self._sockets.values():
            connection.close()


class _Driver:
    def __init__(self, host: str, script: Script, connections: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._lines = [_Line(host, script, self._selector) for _ in range(connections)]
        self._latencies: list[float] = []
        self._counting = False

    def run(self, seconds: float, meter: Meter) -> Taken:
        """Prepare and warm up, then count for this long."""
        try:
            for line in self._lines:
                self._advance(line, None)
            self._loop(lambda: all(line.is_ready for line in self._lines), 120)
            self._loop(lambda: False, WARM_SECONDS)
            before = meter()
            self._counting = True
            started = time.perf_counter()
            self._loop(lambda: False, seconds)
            taken = time.perf_counter() - started
            spent = _difference(before, meter())
        finally:
            self._selector.close()
            for line in self._lines:
                line.close()
        if not self._latencies:
            raise LoadError("nothing was answered")
        cuts = statistics.quantiles(self._latencies, n=100) if len(self._latencies) > 1 else None
        p50, p99 = (cuts[49], cuts[98]) if cuts else (self._latencies[0],) * 2
        return Taken(len(self._latencies), taken, p50 * 1000, p99 * 1000, spent)

    def _loop(self, is_over: Callable[[], bool], seconds: float) -> None:
        end = time.perf_counter() + seconds
        while not is_over() and (left := end - time.perf_counter()) > 0:
            for key, _ in self._selector.select(left):
                line, host = key.data
                answer = line.receive(host)
                if answer is not None:
                    self._advance(line, answer)

    def _advance(self, line: _Line, answer: Answer | None) -> None:
        step = next(line.steps) if answer is None else line.steps.send(answer)
        while step is None:
            now = time.perf_counter()
            if self._counting and line.is_ready:
                self._latencies.append(now - line.started)
            line.is_ready = True
            line.started = now
            step = next(line.steps)
        line.send(step)


_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
_NO_CONTENT = 204


def _read(received: bytes) -> Answer | None:
    """Read an answer once it is complete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    status, head = int(received[9:12]), received[: end + 2].decode("latin-1")
    length = _LENGTH.search(received, 0, end + 2)
    body: bytes | None = received[end + 4 :]
    if length is not None:
        body = body if len(body or b"") >= int(length[1]) else None
    elif _CHUNKED.search(received, 0, end + 2):
        body = _joined(body or b"")
    elif status != _NO_CONTENT:
        raise LoadError(f"no Content-Length in {head!r}")
    return None if body is None else Answer(status, head, body)


def _joined(chunks: bytes) -> bytes | None:
    """Join the chunks of a body; None while some are missing."""
    body, start = b"", 0
    while (end := chunks.find(b"\r\n", start)) >= 0:
        size = int(chunks[start:end].partition(b";")[0], 16)
        start = end + 2 + size + 2
        if len(chunks) < start:
            return None
        if not size:
            return body
        body += chunks[end + 2 : end + 2 + size]
    return None
