"""One connection: bytes in, requests out one after the other, answers back in order.

httptools reads heads and chunks; where a message ends, what it may cost and how long it may take
is decided here. Headers stay what was sent: bytes above 127 reach the application as WSGI wants
them, one character for each byte.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_to_bytes

import httptools
import structlog

from idp.platform.web.visit import Headers, Request, Sent

if TYPE_CHECKING:
    from collections.abc import Sequence

log = structlog.get_logger("idp.server")

MAX_HEAD = 40 * 1024
"""Bytes; a query alone may have 32 KiB, with a request object or an ID token as hint."""
MAX_HEADER_LINES = 256
IDLE_SECONDS = 75.0
"""Time that a connection may stay without a request.

Longer than proxies keep idle connections (60 seconds, most of them): the side that sends the next
request should be the one that closes, else a request meets a connection that is just being closed.
"""
HEAD_SECONDS = 15.0
"""Time that a whole head may take to arrive."""
BODY_SECONDS = 15.0
"""Time that a whole body may take to arrive."""
READ_SECONDS = 30.0
"""Time in which a visitor must have taken the answer, or at least `LEAST_READ` of it."""
LEAST_READ = 64 * 1024
LINGER_SECONDS = 2.0
"""How long is listened to what was refused, so that its sender gets to read why."""
LINGER_BYTES = 4 * 1024 * 1024
MOST_HELD = 64 * 1024
"""Bytes of further requests that are taken while one is being answered."""

_END = b"\r\n\r\n"
_ONCE = frozenset({"HTTP_HOST", "HTTP_AUTHORIZATION", "CONTENT_TYPE", "CONTENT_LENGTH"})
"""Headers of which a second one would leave open which of them counts."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_FRAMING = frozenset({"Connection", "connection", "Content-Length", "content-length"})
"""Headers that are for us to write."""
_BODILESS = frozenset({204, 304})
_VERSIONS = frozenset({"1.0", "1.1"})


class Sink(Protocol):
    """What takes the body of an upload while it arrives."""

    def feed(self, piece: bytes) -> bool:
        """Take a piece; False when no more should come for a while."""

    def end(self, *, complete: bool) -> None:
        """Learn that nothing more will come."""


class Site(Protocol):
    """What the connections of a worker have in common."""

    loop: asyncio.AbstractEventLoop
    stopping: bool
    body_seconds: float

    def opened(self, connection: Connection) -> None:
        """Count a connection in."""

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""

    def most(self, request: Request) -> int:
        """Return how long the body of a request may be."""

    def refusal(self, status: HTTPStatus, detail: str, request: Request | None) -> Sent:
        """Write an answer that the application has no part in; it ends the connection."""

    def take(self, connection: Connection, request: Request) -> None:
        """Answer a request, now or later, by `Connection.answer`."""

    def take_upload(
        self, connection: Connection, request: Request, length: int | None
    ) -> Sink | None:
        """Answer a request whose body is still to come; None: it must be read first."""


class State(Enum):
    """What a connection is waiting for."""

    HEAD = auto()
    BODY = auto()
    UPLOAD = auto()
    """Bytes of a body that is being read, and the answer."""
    ANSWER = auto()
    READER = auto()
    """The visitor, who has yet to take the last answer."""
    END = auto()
    """The end: nothing that comes is looked at."""


class RefusedError(Exception):
    """A request is answered before the application is asked."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(slots=True)
class _Head:
    """What httptools reports about the head of a request, and about chunks."""

    target: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    doubled: str | None = None
    is_read: bool = False
    body: bytearray = field(default_factory=bytearray)
    is_complete: bool = False
    is_followed: bool = False
    """Whether more came behind the body, in the same piece."""

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.is_followed = True

    def on_url(self, url: bytes) -> None:
        if not self.is_read:
            self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body could pose as a header of the head.
        if self.is_read or (key := _variable(name)) is None:
            return
        text = value.decode("latin-1")
        if text.endswith((" ", "\t")):
            text = text.rstrip(" \t")
        headers = self.headers
        if key in headers:
            if key in _ONCE:
                self.doubled = name.decode("latin-1")
            text = f"{headers[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        self.is_read = True

    def on_body(self, piece: bytes) -> None:
        if not self.is_complete:
            self.body += piece

    def on_message_complete(self) -> None:
        self.is_complete = True


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one visitor."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._transport: Any = None
        self._client = ""
        self._server = ("", "")
        self._held = bytearray()
        self._searched = 0
        self._request: Request | None = None
        self._head = _Head()
        self._parser: httptools.HttpRequestParser | None = None
        """Reads the chunks of a body of unknown length."""
        self._left = 0
        """Bytes of the body that are still to come, when it has a length."""
        self._most = 0
        self._raw = 0
        self._sink: Sink | None = None
        self._expects = False
        self._is_last = False
        """Whether the connection ends with the next answer."""
        self._is_shut = False
        """Whether the other side sends nothing more."""
        self._is_reading = True
        self._is_write_paused = False
        self._unsent = 0
        self.state = State.HEAD
        self.deadline = math.inf

    # What the loop calls.

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._client = _name(transport.get_extra_info("peername"))[0]
        self._server = _name(transport.get_extra_info("sockname"))
        self.deadline = self._site.loop.time() + IDLE_SECONDS
        self._site.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        """End; what is being answered goes on, and its answer is dropped."""
        self.state = State.END
        if self._sink is not None:
            self._sink.end(complete=False)
            self._sink = None
        self._site.closed(self)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        state = self.state
        if state is State.END:
            self._left -= len(data)
            if self._left < 0:
                self._transport.abort()
            return
        try:
            if state is State.HEAD and not self._held and self._take_first(data):
                return
            self._take_more(data)
        except RefusedError as refusal:
            self.refuse(refusal.status, str(refusal))

    def _take_more(self, data: bytes) -> None:
        """Take what cannot be taken at once, or belongs to what is here already."""
        state, held = self.state, self._held
        if state is State.HEAD and not held:
            self.deadline = self._site.loop.time() + HEAD_SECONDS
        held += data
        if state is State.BODY:
            self._take_body()
        elif self._sink is not None:
            self._take_piece()
        else:
            if len(held) > MOST_HELD:
                self._pause()
            if state is State.HEAD:
                self._take_head()

    def eof_received(self) -> bool:
        """Learn that nothing more comes; what was asked for is still answered."""
        self._is_shut = True
        if self._sink is not None:
            self._sink.end(complete=False)
            self._sink = None
            self._is_last = True
        if self.state is State.HEAD:
            return _END in self._held
        return self.state in {State.UPLOAD, State.ANSWER, State.READER}

    def pause_writing(self) -> None:
        """Learn that the visitor takes less than it is sent."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """Go on with the next request."""
        self._is_write_paused = False
        if self.state is State.READER:
            self._await_head()

    # Requests.

    def advance(self) -> None:
        """Answer the next request, if its head is here."""
        if self.state is State.HEAD:
            try:
                self._take_head()
            except RefusedError as refusal:
                self.refuse(refusal.status, str(refusal))

    def _take_first(self, data: bytes) -> bool:
        """Take a head that came in one piece, as most do; False: nothing was taken."""
        end = data.find(_END) + len(_END)
        if not len(_END) < end <= MAX_HEAD or len(data) > MOST_HELD:
            return False
        raw = data[:end]
        if raw.startswith(b"\r\n") or raw.count(b"\n") > MAX_HEADER_LINES + 2:
            return False
        self._held += data[end:]
        request = self._request = self._read_head(raw)
        self._frame(request)
        return True

    def _take_head(self) -> None:
        held = self._held
        while held.startswith(b"\r\n"):  # RFC 9112 2.2: as some send behind a body
            del held[:2]
            self._searched = 0
        end = held.find(_END, self._searched)
        if end < 0:
            if self._is_shut:
                self._close()
                return
            if len(held) > MAX_HEAD:
                raise _too_long(held)
            # Lines without CR never end, for us.
            if held.find(b"\n\n", max(self._searched - 1, 0)) >= 0:
                raise _malformed()
            self._searched = max(len(held) - len(_END) + 1, 0)
            return
        self._searched = 0
        end += len(_END)
        raw = bytes(held[:end])
        del held[:end]
        if end > MAX_HEAD or raw.count(b"\n") > MAX_HEADER_LINES + 2:
            raise _too_long(raw)
        request = self._request = self._read_head(raw)
        self._frame(request)

    def _read_head(self, raw: bytes) -> Request:
        head = self._head = _Head()
        # One for each request: what it may still expect of the last one must not matter.
        parser = httptools.HttpRequestParser(head)
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass  # RFC 9110 7.8: may be ignored
        except httptools.HttpParserError:
            raise _malformed() from None
        if not head.is_read or head.is_followed or head.doubled is not None:
            raise _malformed(f"{head.doubled} was sent twice" if head.doubled else "")
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise _malformed()
        self._parser = parser
        if version == "1.0" or "close" in head.headers.get("HTTP_CONNECTION", "").lower():
            self._is_last = True
        path, _, query = self._target(head).partition(b"?")
        return Request(
            parser.get_method().decode("ascii"),
            (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
            query.decode("latin-1"),
            version,
            head.headers,
            self._client,
            self._server,
        )

    @staticmethod
    def _target(head: _Head) -> bytes:
        """Return path and query that are asked for."""
        target = head.target
        if target.startswith((b"http://", b"https://")):
            # RFC 9112 3.2.2: what stands in the target counts, not the header.
            host, slash, rest = target.partition(b"://")[2].partition(b"/")
            head.headers["HTTP_HOST"] = host.decode("latin-1")
            target = slash + rest
        if not target.startswith(b"/") or b"#" in target:
            raise _malformed()
        return target

    def _frame(self, request: Request) -> None:
        """Find out where the body ends, and have it read."""
        length = self._length_of(request)
        if length == 0:
            self._hand_on(request)
            return
        most = self._most = self._site.most(request)
        if length is not None:
            if length > most:
                raise _too_large(most)
            self._parser = None
        self._left, self._raw = length or 0, 0
        self._expects = (
            not self._held
            and request.version != "1.0"  # RFC 9110 10.1.1
            and request.headers.get("HTTP_EXPECT", "").lower() == "100-continue"
        )
        self._unpause()  # it may lie behind more requests than are taken at a time
        sink = self._site.take_upload(self, request, length)
        if sink is not None:
            self.state, self.deadline, self._sink = State.UPLOAD, math.inf, sink
            self._take_piece()
            return
        held = self._held
        if length is not None and len(held) >= length:  # most come with their head
            request.body = bytes(held[:length])
            del held[:length]
            self._hand_on(request)
            return
        self.state = State.BODY
        self.deadline = self._site.loop.time() + self._site.body_seconds
        self.invite()
        self._take_body()

    def _length_of(self, request: Request) -> int | None:
        """Return how long the body is (RFC 9112 6.3); None: it comes in chunks."""
        coding = request.headers.pop("HTTP_TRANSFER_ENCODING", None)
        given = request.headers.pop("CONTENT_LENGTH", None)
        if coding is None:
            if given is not None and not (given.isascii() and given.isdigit()):
                raise _malformed()
            return int(given[:20]) if given else 0
        if coding.lower() != "chunked":
            raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "Unknown Transfer-Encoding")
        # Where an upgrade is asked for, the parser reads no body.
        if given is not None or request.version == "1.0" or self._head.is_complete:
            raise _malformed()
        return None

    def invite(self) -> None:
        """Send `100 Continue` to a client that waits for it."""
        if self._expects and self.state is not State.END:
            self._expects = False
            self._transport.write(_CONTINUE)

    def _take_body(self) -> None:
        request = self._request
        assert request is not None  # noqa: S101 - its head was read
        held = self._held
        if self._parser is None:
            if len(held) < self._left:
                return
            request.body = bytes(held[: self._left])
            del held[: self._left]
        else:
            self._feed_parser()
            if len(self._head.body) > self._most:
                raise _too_large(self._most)
            if not self._head.is_complete:
                return
            request.body = bytes(self._head.body)
        self._hand_on(request)

    def _take_piece(self) -> None:
        """Hand on what is here of an upload."""
        held, sink = self._held, self._sink
        assert sink is not None  # noqa: S101 - the state says so
        if self._parser is None:
            piece = bytes(held[: self._left])
            del held[: self._left]
            self._left -= len(piece)
            is_over = not self._left
        else:
            self._feed_parser()
            piece = bytes(self._head.body)
            self._head.body.clear()
            self._left += len(piece)
            is_over = self._head.is_complete
            if self._left > self._most:
                # The reader finds the end here.
                piece, is_over, self._is_last = b"", True, True
        if piece and not sink.feed(piece):
            self._pause()
        if is_over:
            sink.end(complete=True)
            self._sink = None

    def _feed_parser(self) -> None:
        held, parser = self._held, self._parser
        assert parser is not None  # noqa: S101 - the body has no length
        data = bytes(held)
        held.clear()
        self._raw += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._head.is_followed = True
        except httptools.HttpParserError:
            if not self._head.is_complete:
                raise _malformed() from None
            self._head.is_followed = True
        # What comes behind the body cannot be told from it any more: it is to be sent again
        # (RFC 9112 9.3.2). Chunks of one byte, with all that may stand between them, have a limit.
        self._is_last = self._is_last or self._head.is_followed
        if self._raw > 8 * (self._left + len(self._head.body)) + MAX_HEAD:
            raise _malformed()

    def _hand_on(self, request: Request) -> None:
        self.state, self.deadline = State.ANSWER, math.inf
        self._parser = None
        self._site.take(self, request)

    # Answers.

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer and look for the next request.

        Names are written as in RFC 9110 or in lower case.
        """
        if self.state is State.END:
            return
        is_unread = self.state is State.UPLOAD and self._is_unread()
        if is_unread:
            self._is_last = True
        self._send(status, headers, body)
        self._sink = None
        if is_unread:
            self._linger(self._site.body_seconds, self._most)
        elif self._is_last:
            self._close()
        elif self._is_write_paused:
            self._await_reader(State.READER)
        else:
            self._await_head()

    def refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer before the application is asked; the rest is not read."""
        if self.state is State.END:
            return
        if self._sink is not None:
            self._sink.end(complete=False)
            self._sink = None
        self._is_last = True
        self._held.clear()
        self._send(*self._site.refusal(status, detail, self._request))
        # Cut off in the middle of sending, its sender would not get to read this.
        self._linger(LINGER_SECONDS, LINGER_BYTES)

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        is_head = self._request is not None and self._request.method == "HEAD"
        has_length = is_head or status in _BODILESS
        if self._site.stopping or (self._is_shut and not self._held):
            self._is_last = True
        lines = [_line(status), _date()]
        for name, value in headers:
            if name not in _FRAMING:
                lines.append(f"{name}: {value}\r\n")
            elif name.lower() == "connection":
                self._is_last = self._is_last or value.lower() == "close"
            elif is_head:  # of what is not sent, the application alone knows the length
                lines.append(f"content-length: {value}\r\n")
        if not has_length:
            lines.append(f"content-length: {len(body)}\r\n")
        if self._is_last:
            lines.append("connection: close\r\n")
        lines.append("\r\n")
        head = "".join(lines).encode("latin-1")
        if head.count(b"\n") != len(lines):
            message = "a header of an answer holds a line break"
            raise ValueError(message)
        self._request = None
        if not self._transport.is_closing():
            self._transport.write(head if has_length else head + body)

    def _is_unread(self) -> bool:
        """Whether the body of an upload is still coming."""
        return bool(self._left) if self._parser is None else not self._head.is_complete

    def resume(self) -> None:
        """Resume reading an upload."""
        if self.state is State.UPLOAD:
            self._unpause()

    def _await_head(self) -> None:
        self.state = State.HEAD
        if self._held:
            self.deadline = self._site.loop.time() + HEAD_SECONDS
            # Others get their turn first.
            self._site.loop.call_soon(self.advance)
        else:
            self.deadline = self._site.loop.time() + IDLE_SECONDS
        if len(self._held) <= MOST_HELD:
            self._unpause()

    def _await_reader(self, state: State) -> None:
        self.state = state
        self._unsent = self._transport.get_write_buffer_size()
        self.deadline = self._site.loop.time() + READ_SECONDS

    def _linger(self, seconds: float, most: int) -> None:
        """Send what is to be sent, and throw away what comes, for a while."""
        if self._transport.is_closing():
            return
        self._await_reader(State.END)
        self._left = most
        self.deadline = self._site.loop.time() + seconds
        self._unpause()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _close(self) -> None:
        self._await_reader(State.END)
        self._transport.close()

    # Time.

    def expire(self) -> None:
        """Abort what has taken too long."""
        if self._transport.is_closing() and self.state is not State.END:
            self.cut()
        elif self.state is State.HEAD and not self._held:
            self._close()
        elif self.state in {State.HEAD, State.BODY}:
            log.info("request_timed_out", remote_addr=self._client)
            self.refuse(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time")
        else:
            unsent = self._transport.get_write_buffer_size()
            if not unsent or unsent > self._unsent - LEAST_READ:
                self._transport.abort()
            else:
                self._await_reader(self.state)

    @property
    def is_waiting(self) -> bool:
        """Whether the next request is not here yet, or only its beginning."""
        return self.state is State.HEAD

    @property
    def is_busy(self) -> bool:
        """Whether a part of a request is here, or of an answer."""
        if self.state is State.HEAD:
            return bool(self._held)
        return self.state is not State.END or bool(self._transport.get_write_buffer_size())

    def end(self) -> None:
        """Close as soon as what was written is sent."""
        if self.state is not State.END:
            self._close()

    def cut(self) -> None:
        """Close at once."""
        self.state = State.END
        self._transport.abort()

    def _pause(self) -> None:
        if self._is_reading and not self._transport.is_closing():
            self._is_reading = False
            self._transport.pause_reading()

    def _unpause(self) -> None:
        if not self._is_reading and not self._transport.is_closing():
            self._is_reading = True
            self._transport.resume_reading()


@lru_cache(maxsize=256)
def _variable(name: bytes) -> str | None:
    """Name the variable of a header; None for those that could pose as others.

    `X_Forwarded_For` would turn into the same variable as `X-Forwarded-For`.
    """
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def _name(address: Sequence[Any] | str | None) -> tuple[str, str]:
    return (str(address[0]), str(address[1])) if isinstance(address, tuple) else ("", "")


def _line(status: int) -> str:
    return _LINES.get(status) or f"HTTP/1.1 {status} \r\n"


def _date() -> str:
    return _date_of(int(time.time()))


@lru_cache(maxsize=1)
def _date_of(second: int) -> str:
    return f"date: {formatdate(second, usegmt=True)}\r\n"


def _malformed(detail: str = "") -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, detail or "The request is malformed")


def _too_long(head: bytes | bytearray) -> RefusedError:
    line = head.find(b"\r\n")
    if not 0 <= line <= MAX_HEAD - 4096:
        return RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, "Address too long")
    return RefusedError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"The head may have {MAX_HEAD} bytes and {MAX_HEADER_LINES} lines",
    )


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The request body exceeds {most} bytes"
    )
