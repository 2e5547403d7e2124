"""Fetching addresses that others name, without opening the inner network to them.

A client may register the address of its keys, so the address is hostile until proven: https only,
port 443 only, every resolved address public, the connection made to exactly the checked address,
no redirects, no proxies, bounded in size, time and number. `IDP_FETCH_ALLOW` names exceptions.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson

from idp.config import SettingsError
from idp.platform import tracing
from idp.platform.errors import BadRequest, Busy, Problem, Unavailable
from idp.platform.translation import N_, filled

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")

MAX_BYTES = 64 * 1024
TIMEOUT_SECONDS = 5.0
CONCURRENT = 8
JSON_WAITERS = 2
"""Callers of `get_json` that wait at the same time, each for another address."""
BUSY_SECONDS = 5
"""When a caller who was not let in may come back."""
MAX_URL_LENGTH = 2000

MAX_AGE_SECONDS = 300.0
REFRESH_SECONDS = 30.0
"""A fetch that a caller forces happens at most this often for one address."""
FAILURE_SECONDS = 10.0
"""The pause after a first failure; it doubles with each further one."""
LONGEST_FAILURE_SECONDS = 300.0
STALE_SECONDS = 3600.0
"""How long an old answer serves while its server fails."""
CACHED_URLS = 512

_HEADER_ALLOWANCE = 32 * 1024
_MAX_ADDRESSES = 4
_MAX_DOUBLINGS = 10
_IPV4 = 4
_HTTPS_PORT = 443
_HTTP_PORT = 80

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*\.?", re.ASCII)
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)

# What `is_global` of this Python lets through, or judges by the outer form only.
_REFUSED_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, some clouds' metadata (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "168.63.129.16/32",  # the host of a virtual machine at one large cloud
        "2001::/23",  # protocol assignments (RFC 2928); Teredo is unwrapped before
        "2001:db8::/32",
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class _RefusedError(Exception):
    """Why an answer is not taken; for the log only, since it tells about the inner network."""


def is_public(address: Address) -> bool:
    """Whether an address is in the public internet, whatever form it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _unwrap(address)
        if inner is not None:
            return all(is_public(part) for part in inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _REFUSED_NETWORKS)
    )


def _unwrap(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...] | None:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    return None


@dataclass(frozen=True, slots=True)
class _Target:
    """An address taken apart, its form proven."""

    host: str
    port: int
    is_secure: bool
    path: str
    header: str
    """The value of the Host header."""


@dataclass(frozen=True)
class _Allowance:
    """The exceptions of `IDP_FETCH_ALLOW`."""

    hosts: frozenset[tuple[str, int | None]]
    networks: tuple[Network, ...]

    def names(self, host: str, port: int) -> bool:
        """Whether the operator named this host, on any port or on this one."""
        return (host, None) in self.hosts or (host, port) in self.hosts

    def contains(self, address: Address) -> bool:
        """Whether the operator named a network with this address."""
        return any(address in network for network in self.networks)


def _read_allowance(text: str) -> _Allowance:
    hosts: set[tuple[str, int | None]] = set()
    networks: list[Network] = []
    for entry in (part.strip().lower() for part in text.split(",")):
        if not entry:
            continue
        try:
            if "/" in entry:
                networks.append(ipaddress.ip_network(entry))
            else:
                hosts.add(_read_host(entry))
        except ValueError:
            raise SettingsError(
                f"IDP_FETCH_ALLOW: {entry!r} is neither host, host:port nor a network like"
                " 10.1.0.0/16"
            ) from None
    return _Allowance(frozenset(hosts), tuple(networks))


def _read_host(entry: str) -> tuple[str, int | None]:
    if entry.count(":") > 1 and not entry.startswith("["):
        return str(ipaddress.IPv6Address(entry)), None
    parts = urlsplit(f"//{entry}")
    if not parts.hostname or "@" in entry or parts.path or parts.query or parts.fragment:
        raise ValueError
    return _host(parts.hostname), parts.port


def _host(name: str) -> str:
    """Return a host name or a literal address in its one form; ValueError for anything else."""
    if ":" in name:
        if "%" in name:
            raise ValueError
        return str(ipaddress.IPv6Address(name))
    # Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses; we read dotted quads only.
    if _NUMERIC.fullmatch(name):
        return str(ipaddress.IPv4Address(name))
    if len(name) > 253 or not _NAME.fullmatch(name):  # noqa: PLR2004 - RFC 1035 3.1
        raise ValueError
    return name.removesuffix(".")


class _Wire(io.RawIOBase):
    """What a server sends, until it is too much or too late."""

    def __init__(self, connection: socket.socket, deadline: float, max_bytes: int) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._left = max_bytes

    def readable(self) -> bool:
        """Return that this can be read, as `BufferedReader` requires."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Receive into a buffer."""
        if self._left <= 0:
            raise _RefusedError("the answer is too large")
        _arm(self._connection, self._deadline)
        received = self._connection.recv_into(buffer)
        self._left -= received
        return received


class _Channel:
    """The part of a socket that `http.client` uses, with one deadline over everything."""

    def __init__(self, connection: socket.socket, deadline: float, max_bytes: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._max_bytes = max_bytes

    def sendall(self, data: bytes) -> None:
        """Send the request."""
        _arm(self._connection, self._deadline)
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Open what the server sends."""
        return io.BufferedReader(_Wire(self._connection, self._deadline, self._max_bytes))

    def close(self) -> None:
        """Leave closing to the owner of the socket."""


def _arm(connection: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


@dataclass
class _Entry:
    """The last answer of one address, and when it failed last."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: dict[str, Any] | None = None
    fetched_at: float = 0.0
    problem: Problem | None = None
    failed_at: float = 0.0
    failures: int = 0
    """In a row."""

    def serves(self, now: float, max_age: float) -> bool:
        """Whether the answer is young enough."""
        return self.value is not None and now - self.fetched_at < max_age

    def has_just_failed(self, now: float) -> bool:
        """Whether trying again would only hammer the server, and hold a caller for nothing."""
        if self.problem is None:
            return False
        pause = FAILURE_SECONDS * 2.0 ** min(self.failures - 1, _MAX_DOUBLINGS)
        return now - self.failed_at < min(pause, LONGEST_FAILURE_SECONDS)

    def fail(self, problem: Problem) -> None:
        """Remember a failure."""
        self.problem, self.failed_at = problem, time.monotonic()
        self.failures += 1

    def succeed(self, value: dict[str, Any]) -> None:
        """Remember an answer."""
        self.value, self.fetched_at = value, time.monotonic()
        self.problem, self.failures = None, 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer that is plainly fine."""

    body: bytes
    content_type: str
    """Without parameters, in lower case."""
    cache_control: str


class Fetcher:
    """Guarded requests in a small pool of their own."""

    def __init__(
        self, allow: str, *, context: ssl.SSLContext | None = None, concurrent: int = CONCURRENT
    ) -> None:
        self._allowance = _read_allowance(allow)
        self._given_context = context
        self._concurrent = concurrent
        self._slots = threading.BoundedSemaphore(concurrent)
        self._json_waiters = threading.BoundedSemaphore(JSON_WAITERS)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = self._given_context or ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._concurrent, thread_name_prefix="fetch")

    def check(self, url: str) -> None:
        """Refuse an address that could never be fetched, by its form alone."""
        self._parse(url)

    def get(
        self, url: str, *, max_bytes: int = MAX_BYTES, timeout: float = TIMEOUT_SECONDS
    ) -> bytes:
        """Fetch an address that someone unverified named.

        BadRequest when it must not be fetched, Unavailable when it does not answer as it should.
        Neither tells what was found behind it, since that may be an inner address.
        """

        def fetch(target: _Target, deadline: float) -> bytes:
            headers = {"Accept": "application/json, */*"}
            with self._response("GET", target, headers, None, max_bytes, deadline) as response:
                return _read(response, max_bytes)

        return self._in_pool(self._parse(url), fetch, timeout)

    def begin(
        self,
        url: str,
        read: Callable[[Fetched], T],
        accept: str,
        *,
        max_bytes: int,
        timeout: float,
    ) -> Future[T]:
        """Fetch an address and read the answer, both on a thread of the pool.

        The same is refused as in `get`. Busy where the pool has no room; the future has the result
        or the Problem.
        """
        target = self._parse(url)

        def work(target: _Target, deadline: float) -> T:
            with _told(target):
                headers = {"Accept": accept}
                with self._response("GET", target, headers, None, max_bytes, deadline) as response:
                    body = _read(response, max_bytes)
                    content_type = response.getheader("Content-Type", "").partition(";")[0]
                    cache_control = response.getheader("Cache-Control", "")
            return read(Fetched(body, content_type.strip().lower(), cache_control))

        return self._submit(target, work, time.monotonic() + timeout)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        timeout: float = TIMEOUT_SECONDS,
    ) -> tuple[int, bytes]:
        """Send a request to an address that a tenant named; return status and body of the answer.

        The same is refused as in `get`; a status of any kind is the caller's to judge.
        """

        def ask(target: _Target, deadline: float) -> tuple[int, bytes]:
            with self._response(method, target, headers, body, max_bytes, deadline) as response:
                return response.status, _read_body(response, max_bytes)

        return self._in_pool(self._parse(url), ask, timeout)

    def _in_pool(self, target: _Target, action: Callable[[_Target, float], T], timeout: float) -> T:
        with tracing.step("fetch", {"server.address": target.host}, kind="client"):
            return self._wait_in_pool(target, action, timeout)

    def _wait_in_pool(
        self, target: _Target, action: Callable[[_Target, float], T], timeout: float
    ) -> T:
        """Do something with one address in the pool, before a deadline."""
        deadline = time.monotonic() + timeout
        future = self._submit(target, action, deadline)
        with _told(target):
            return future.result(timeout=max(0.0, deadline - time.monotonic()) + 0.1)

    def _submit(
        self, target: _Target, action: Callable[[_Target, float], T], deadline: float
    ) -> Future[T]:
        if not self._slots.acquire(blocking=False):
            raise Busy(N_("Too many addresses are being fetched; try again."), BUSY_SECONDS)
        try:
            future = self._pool.submit(action, target, deadline)
        except BaseException:
            self._slots.release()
            raise
        # The slot is free when the thread is, which a slow name server may hold for longer.
        future.add_done_callback(lambda _: self._slots.release())
        return future

    def get_json(
        self, url: str, *, max_age: float = MAX_AGE_SECONDS, refresh: bool = False
    ) -> dict[str, Any]:
        """Fetch a JSON object, or take it from the cache; do not change what you get.

        `refresh` asks for a newer one, as when a key is unknown, and gets it every 30 seconds at
        most. While the server fails, an answer of the last hour serves, and the pause until it is
        asked again grows. One caller waits for an address, and two for all of them; further ones
        get the answer of the last hour, or Busy at once.
        """
        entry = self._entry(url)
        max_age = min(max_age, REFRESH_SECONDS) if refresh else max_age
        now = time.monotonic()
        if entry.value is not None and entry.serves(now, max_age):
            return entry.value
        if not entry.has_just_failed(now) and entry.lock.acquire(blocking=False):
            try:
                self._renew(entry, url, max_age)
            finally:
                entry.lock.release()
        return self._remembered(entry)

    def close(self) -> None:
        """End the pool's threads."""
        if "_pool" in self.__dict__:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _entry(self, url: str) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(url, _Entry())
            self._entries.move_to_end(url)
            while len(self._entries) > CACHED_URLS:
                self._entries.popitem(last=False)
        return entry

    def _renew(self, entry: _Entry, url: str, max_age: float) -> None:
        """Fetch, when one of the callers that may wait can do so."""
        if entry.serves(time.monotonic(), max_age):  # another caller was a moment faster
            return
        if not self._json_waiters.acquire(blocking=False):
            return
        try:
            entry.succeed(json_object(self.get(url)))
        except Busy:
            return  # says nothing about this address
        except Problem as problem:
            entry.fail(problem)
        finally:
            self._json_waiters.release()

    def _remembered(self, entry: _Entry) -> dict[str, Any]:
        """Return what is there; raise what the last fetch met, or Busy while one is under way."""
        now = time.monotonic()
        if entry.value is not None and entry.serves(now, STALE_SECONDS):
            return entry.value
        met = entry.problem
        if met is None or not entry.has_just_failed(now):
            raise Busy(N_("This address is being fetched; try again."), BUSY_SECONDS)
        raise type(met)(met.detail, debug=met.debug)

    def _parse(self, url: str) -> _Target:
        """Take an address apart; BadRequest unless it may be fetched by its form."""
        # urlsplit drops tabs and line ends, and resolvers read other scripts: neither gets there.
        if len(url) > MAX_URL_LENGTH or not all("!" <= char <= "~" for char in url) or "\\" in url:
            raise BadRequest(N_("The address has characters that do not belong in one."))
        try:
            parts = urlsplit(url)
            host = _host(parts.hostname or "")
            given_port = parts.port
        except ValueError:
            raise BadRequest(N_("The address names no usable host.")) from None
        if "@" in parts.netloc or "#" in url:
            raise BadRequest(N_("The address must have neither user nor fragment."))
        is_secure = parts.scheme == "https"
        port = given_port if given_port is not None else _HTTPS_PORT if is_secure else _HTTP_PORT
        if not self._allowance.names(host, port) and not (is_secure and port == _HTTPS_PORT):
            raise BadRequest(N_("The address must be https on the standard port."))
        if parts.scheme not in {"https", "http"} or port == 0:
            raise BadRequest(N_("The address must be https on the standard port."))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        shown = f"[{host}]" if ":" in host else host
        header = shown if given_port is None else f"{shown}:{given_port}"
        return _Target(host, port, is_secure, path, header)

    def _resolve(self, target: _Target) -> list[Address]:
        """Ask for the addresses of a host once; refuse them all when one is not public."""
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(ipaddress.ip_address(str(answer[4][0])) for answer in answers))
        if not self._allowance.names(target.host, target.port):
            self._check_addresses(found)
        return found[:_MAX_ADDRESSES]

    def _check_addresses(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            if not is_public(address) and not self._allowance.contains(address):
                raise _RefusedError("an address that is not public")

    def _connect(self, target: _Target, deadline: float) -> socket.socket:
        """Connect to the first checked address that answers."""
        failure: OSError = TimeoutError()
        for address in self._resolve(target):
            family = socket.AF_INET if address.version == _IPV4 else socket.AF_INET6
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                _arm(connection, deadline)
                connection.connect((str(address), target.port))
                if not target.is_secure:
                    return connection
                _arm(connection, deadline)
                return self._context.wrap_socket(connection, server_hostname=target.host)
            except OSError as problem:
                connection.close()
                failure = problem
        raise failure

    @contextmanager
    def _response(
        self,
        method: str,
        target: _Target,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        deadline: float,
    ) -> Iterator[http.client.HTTPResponse]:
        """Connect, send the request, and yield the answer, whose body is not read yet."""
        with self._connect(target, deadline) as connection:
            client = http.client.HTTPConnection(target.host, target.port)
            client.sock = _Channel(connection, deadline, max_bytes + _HEADER_ALLOWANCE)
            client.request(
                method,
                target.path,
                body,
                headers={
                    **headers,
                    "Host": target.header,
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    "User-Agent": "idp",
                },
            )
            with client.getresponse() as response:
                yield response


@contextmanager
def _told(target: _Target) -> Iterator[None]:
    """Raise Unavailable for whatever went wrong with an address, and why in its `debug` alone."""
    debug: str
    try:
        yield
    except TimeoutError:
        debug = "too slow"
    except _RefusedError as reason:
        debug = str(reason)
    except (OSError, http.client.HTTPException, ValueError) as reason:
        debug = type(reason).__name__
    else:
        return
    raise Unavailable(
        filled(N_("%(host)s did not give a usable answer."), host=target.host), debug=debug
    )


def _read(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """Read a whole answer that is plainly fine."""
    # RFC 9110 15.4: a redirect would lead past every check above, so none is followed.
    if response.status != http.client.OK:
        raise _RefusedError(f"status {response.status}")
    return _read_body(response, max_bytes)


def _read_body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    # We asked for none. What is small when compressed may be anything when it is not.
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise _RefusedError("a compressed answer")
    body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise _RefusedError("the answer is too large")
    if response.length:  # announced and not sent
        raise _RefusedError("the answer is cut off")
    return body


def json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; Unavailable for anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Unavailable(N_("The address did not give a JSON object."))
    return value
