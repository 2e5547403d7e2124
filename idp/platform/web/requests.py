"""What every request passes, whichever door answers it: id, origin, host, limits, headers.

`Entrance.serve` answers requests for machine endpoints, `Entrance.serve_inside` those for Flask;
they differ only in what happens between taking a request in and sending its answer.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from idp.config import SettingsError
from idp.platform import logs, metrics
from idp.platform.cache import MISSING, Missing
from idp.platform.errors import BadRequest, NotFound, Problem, TooLarge, TooLong
from idp.platform.issuer import Issuer
from idp.platform.metrics.declarations import OTHER, REQUESTS
from idp.platform.runtime import RequestContext, Runtime
from idp.platform.storage import SessionStorage, Storage, complete
from idp.platform.web import certificates, cors, forms, plain, problems
from idp.platform.web.visit import (
    ENVIRON_KEY,
    WSGI,
    Answer,
    Body,
    Environ,
    FindIssuer,
    Request,
    Sent,
    Visit,
)

MAX_BODY = 1024 * 1024
MAX_HOST = 255
MAX_PATH = 2048
"""Bytes of a path, its escapes undone."""
MAX_QUERY = 32 * 1024
"""Bytes of a query as it was sent. Requests for a sign-in come there, with request objects and ID
tokens as hints; what is larger could not be kept until the person has answered anyway."""

HEALTH = frozenset({"/healthz", "/readyz"})

HOSTLESS = HEALTH | {"/metrics", plain.STYLE}
"""Requested by machines that have an address and no name, and by the page of an unknown host."""

_TEXT_IN_PATH = re.compile(r"<(?!int:)")
"""In routes whose addresses name a person or a thing by a text: user names, handles, codes."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,100}")
_FORM = "application/x-www-form-urlencoded"
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_NODE = re.compile(
    r"(?:\[(?P<bracketed>[0-9a-fA-F:.]+)\]|(?P<plain>[^:\[\]]+))(?::(?:[0-9]{0,5}|_[\w.-]+))?",
    re.ASCII,
)
_HIDDEN = re.compile(r"unknown|unix|_[\w.-]+", re.ASCII | re.IGNORECASE)
_ASCII = ("HTTP_AUTHORIZATION", "CONTENT_TYPE")
"""Headers that decide what a request is worth or means, and hold nothing but ASCII."""
_DEFAULT_PORT = {"http": ":80", "https": ":443"}

_METHODS = REQUESTS.values["method"]

_PATH_SAFE = "/:@!$&'()*+,;=~"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Handle = Callable[[Visit], Awaitable[Answer | None]]
"""Answers a request that was taken in; None: the application inside must."""


@dataclass(frozen=True, slots=True)
class Traits:
    """The traits of the addresses behind the entrance, by path."""

    hostless: frozenset[str] = HOSTLESS
    """Requested by machines that have an address and no name."""
    canonical: frozenset[str] = frozenset()
    """Existing only at the host that an issuer is named after."""
    everywhere: frozenset[str] = frozenset()
    at_any_host: tuple[str, ...] = ()
    """Paths that are served at hosts of others too, with all paths below them."""
    uploads: Mapping[str, int] = field(default_factory=dict)
    """Paths whose bodies are read by their views, and how many bytes those may have."""
    files: str = "/files/"
    """The beginning of paths that the host of `IDP_FILES_PUBLIC_URL` serves, and nothing else."""


class Entrance:
    """The one way in."""

    def __init__(self, runtime: Runtime, find_issuer: FindIssuer, traits: Traits) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self._find_issuer = find_issuer
        self._traits = traits
        self._files_host = settings.files_host
        self._proxies = networks(settings.trusted_proxies)
        self._certificates = certificates.passing(settings.client_certificate)
        self._mtls_prefix = settings.mtls_prefix
        self._default_port = _DEFAULT_PORT[settings.scheme]
        self._headers = security_headers(secure=settings.secure)
        self._page_headers = security_headers(secure=settings.secure, policy=plain.POLICY)
        self.metrics = metrics.create(runtime.counts)
        self._counts = runtime.counts

    async def serve(
        self, request: Request, storage: Storage, handle: Handle, *, machine: bool
    ) -> Sent | None:
        """Answer a request; None where `handle` leaves it to the application inside."""
        visit: Visit | None = None
        try:
            visit = self._open(request, storage)
            try:
                answer = await self._admit(visit, machine=machine) or await handle(visit)
            except Exception as error:  # noqa: BLE001 - the renderer of last resort
                answer = self._refuse(visit, error, machine=machine)
            return None if answer is None else self._finish(visit, answer)
        except Exception as error:  # noqa: BLE001 - the renderer of last resort
            return self._last_resort(visit, error, is_head=request.method == "HEAD")

    def serve_inside(
        self, request: Request, storage: SessionStorage, inner: WSGI, environ: Environ
    ) -> Sent:
        """Answer a request by another WSGI application, on a thread."""
        visit: Visit | None = None
        try:
            visit = self._open(request, storage)
            try:
                answer = complete(self._admit(visit, machine=False))
            except Exception as error:  # noqa: BLE001 - the renderer of last resort
                answer = self._refuse(visit, error, machine=False)
            if answer is not None:
                return self._finish(visit, answer)
            visit.session.info["context"] = storage.context
            return self._pass_on(visit, inner, environ)
        except Exception as error:  # noqa: BLE001 - the renderer of last resort
            return self._last_resort(visit, error, is_head=request.method == "HEAD")

    def _open(self, request: Request, storage: Storage) -> Visit:
        """Begin to answer a request."""
        peer = _unmapped(request.client or None)
        trusted = bool(self._proxies) and peer is not None and self._is_proxy(peer)
        return Visit(
            request,
            storage,
            request_id=_request_id(request.headers, trusted=trusted),
            method=request.method,
            path=request.path or "/",
            remote_addr=peer,
            started=time.perf_counter(),
            is_proxied=trusted,
            certificates=self._certificates if trusted else None,
        )

    async def _admit(self, visit: Visit, *, machine: bool) -> Answer | None:
        """Take a request in; the answer is returned when it goes no further.

        Raise a Problem that names the fault.
        """
        self._check_head(visit)
        if visit.path in self._traits.hostless:
            return None
        if visit.host == self._files_host:
            # The origin of uploaded files: no page, no cookie and no token of ours is there.
            if not visit.path.startswith(self._traits.files):
                raise NotFound
        else:
            issuer = self._known_issuer(visit)
            if issuer is MISSING:
                issuer = await self._issuer_at(visit, visit.host)
            elsewhere = self._settle_issuer(visit, issuer, machine=machine)
            if elsewhere is not None:
                return elsewhere
        if visit.method == "POST" and visit.path in self._traits.uploads:
            # Left where it is: the view reads it once the sender is authenticated.
            check_length(visit.request.headers, self._traits.uploads[visit.path])
        elif visit.method not in {"GET", "HEAD", "OPTIONS"}:
            self._read_body(visit)
        return None

    def _check_head(self, visit: Visit) -> None:
        """Refuse a head that cannot be read; note where the request comes from and goes to."""
        request, headers = visit.request, visit.request.headers
        check_headers(headers)
        if visit.is_proxied:
            visit.remote_addr = self._client(headers, visit.remote_addr)
        visit.storage.context = RequestContext(
            visit.request_id, visit.remote_addr, headers.get("HTTP_USER_AGENT")
        )
        query = request.query
        if len(visit.path) > MAX_PATH or len(query) > MAX_QUERY:
            # RFC 9110 15.5.15. The rest is not read, nor logged.
            visit.path = visit.path[:MAX_PATH]
            raise TooLong
        if not visit.path.isascii() or "\0" in visit.path:
            visit.path = forms.decode_bytes(visit.path.encode("latin-1"))
            if "\ufffd" in visit.path:  # what the server put in place of broken UTF-8
                message = "Text is not valid UTF-8"
                raise BadRequest(message)
        if query:
            check_encoded(query)
        if visit.path not in self._traits.hostless:
            self._set_host(visit)

    def _set_host(self, visit: Visit) -> None:
        headers = visit.request.headers
        host = headers.get("HTTP_HOST", "")
        if visit.is_proxied:
            # The nearest proxy appends; what stands before is not trustworthy.
            host = headers.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip() or host
        visit.host = headers["HTTP_HOST"] = _read_host(host, self._default_port)
        if self._mtls_prefix and visit.host.startswith(self._mtls_prefix):
            visit.alias = self._mtls_prefix
            visit.host = visit.host.removeprefix(self._mtls_prefix)

    def _settle_issuer(
        self, visit: Visit, issuer: Issuer | None, *, machine: bool
    ) -> Answer | None:
        """Note whose host was asked; the answer is returned for requests that go elsewhere."""
        visit.issuer = issuer
        if issuer is None:
            name, _, port = visit.host.partition(":")
            if name == "localhost" and (port or "80") == (visit.request.server[1] or "80"):
                return _moved(self.runtime.settings.public_url, visit.request)
            if self._is_at_any_host(visit.path):
                return None
            message = "This host is not served here"
            raise BadRequest(message, code=plain.UNKNOWN_HOST)
        if visit.alias and (not machine or visit.path in self._traits.canonical):
            # Programs alone are asked for certificates; a page there would ask people for one.
            raise NotFound
        if not issuer.is_canonical:
            if visit.path in self._traits.canonical:
                raise NotFound
            if not machine and visit.path not in self._traits.everywhere:
                return _moved(issuer.url, visit.request)
        return None

    def _is_at_any_host(self, path: str) -> bool:
        return any(path == one or path.startswith(f"{one}/") for one in self._traits.at_any_host)

    def _known_issuer(self, visit: Visit) -> Issuer | Missing | None:
        """Return the issuer of the host, MISSING where the database must be asked."""
        if self.runtime.cache.is_due():
            return MISSING
        return visit.storage.known(self._find_issuer, visit.host)

    async def _issuer_at(self, visit: Visit, host: str) -> Issuer | None:
        """Look an issuer up in configuration that is as new as it must be."""
        storage = visit.storage
        cache = self.runtime.cache
        if cache.is_due():
            await cache.refresh(storage.one)
        return await storage.look_up(self._find_issuer, host)

    async def platform_issuer(self, visit: Visit) -> Issuer | None:
        """Return issuer 1 for machines that use an address, or a host of others; else None."""
        if visit.path not in self._traits.hostless and not self._is_at_any_host(visit.path):
            return None
        return await self._issuer_at(visit, self.runtime.settings.public_host)

    @staticmethod
    def _read_body(visit: Visit) -> None:
        request = visit.request
        visit.body = request.body if request.environ is None else read_body(request.environ)
        kind = request.headers.get("CONTENT_TYPE", "")
        if kind == _FORM or kind.partition(";")[0].strip().lower() == _FORM:
            visit.form = visit.body.decode("latin-1")
            check_encoded(visit.form)

    def render(self, visit: Visit, error: Exception, *, machine: bool) -> Answer:
        """Answer with a refusal in the form that this surface uses."""
        problem = problems.from_exception(error, visit.request_id)
        if machine:
            return problems.oauth_json(problem)
        headers = visit.request.headers
        fetch_mode = headers.get("HTTP_SEC_FETCH_MODE", "")
        if plain.wants_page(headers.get("HTTP_ACCEPT", ""), fetch_mode):
            languages = headers.get("HTTP_ACCEPT_LANGUAGE", "")
            return problems.plain_page(problem, visit.request_id, languages)
        return problems.problem_json(problem, visit.request_id)

    def _refuse(self, visit: Visit, error: Exception, *, machine: bool) -> Answer:
        """Answer with a refusal without personal data: pages of any origin may read it.

        A browser that cannot show a page why it was refused shows it a network error.
        """
        answer = self.render(visit, error, machine=machine)
        is_page = not machine and answer.policy is not None
        return answer if is_page else cors.for_anybody(answer)

    def _finish(self, visit: Visit, answer: Answer) -> Sent:
        """Count and log a request, and return its complete answer."""
        own = self._headers if answer.policy is None else self._page_headers
        headers = [*answer.headers, *own, ("X-Request-Id", visit.request_id)]
        self._leave(visit, answer.status)
        if visit.method == "HEAD":
            headers.append(("Content-Length", str(len(answer.body))))
            return answer.status, headers, b""
        return answer.status, headers, answer.body

    def _pass_on(self, visit: Visit, inner: WSGI, environ: Environ) -> Sent:
        """Answer by another WSGI application, adding what every answer carries.

        Its answer is read whole before the first byte is sent: what fails on the way, headers that
        cannot be written or a body that breaks off, is refused like anything else.
        """
        line, headers = "500", list[tuple[str, str]]()

        def start(given_line: str, given: list[tuple[str, str]], _exc_info: Any = None) -> Any:
            nonlocal line, headers
            line, headers = given_line, given
            return no_write

        environ[ENVIRON_KEY] = visit
        self._describe(visit, environ)
        try:
            body = read_all(inner(environ, start))
        except Exception as error:  # noqa: BLE001 - the renderer of last resort
            visit.session.rollback()
            return self._finish(visit, self.render(visit, error, machine=False))
        present = {name.lower() for name, _ in headers}
        headers += [pair for pair in self._headers if pair[0].lower() not in present]
        headers.append(("X-Request-Id", visit.request_id))
        status = int(line[:3])
        self._leave(visit, status)
        return status, headers, body

    def _describe(self, visit: Visit, environ: Environ) -> None:
        """Hand on what was found out about a request."""
        # The scheme is a setting and never a header, so it cannot be forged.
        environ["wsgi.url_scheme"] = self.runtime.settings.scheme
        headers = visit.request.headers
        for name in ("HTTP_HOST", "HTTP_COOKIE", "HTTP_USER_AGENT"):
            if name in headers:
                environ[name] = headers[name]
        if visit.method == "POST" and visit.path in self._traits.uploads:
            return
        if visit.host and visit.method not in {"GET", "HEAD", "OPTIONS"}:
            environ["wsgi.input"] = BytesIO(visit.body)
            environ["CONTENT_LENGTH"] = str(len(visit.body))

    def _last_resort(self, visit: Visit | None, error: Exception, *, is_head: bool) -> Sent:
        """Answer what failed outside all that renders refusals."""
        request_id = token_hex(8) if visit is None else visit.request_id
        answer = problems.problem_json(problems.from_exception(error, request_id), request_id)
        if visit is not None:
            with contextlib.suppress(Exception):
                visit.storage.end()
        headers = [*answer.headers, *self._headers, ("X-Request-Id", request_id)]
        if not is_head:
            return answer.status, headers, answer.body
        headers.append(("Content-Length", str(len(answer.body))))
        return answer.status, headers, b""

    def _leave(self, visit: Visit, status: int) -> None:
        """Return the session to the pool, count and log."""
        visit.storage.end()
        seconds = time.perf_counter() - visit.started
        # Invented ones must not add up in memory where nobody hands the counts on.
        method = visit.method if visit.method in _METHODS else OTHER
        self._counts.answered(visit.endpoint, method, status, seconds)
        if visit.path not in HEALTH:
            logs.access(
                request_id=visit.request_id,
                method=visit.method,
                path=_shown_path(visit),
                status=status,
                milliseconds=round(seconds * 1000, 2),
                remote_addr=visit.remote_addr,
                host=visit.host,
            )

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)

    def _client(self, headers: Mapping[str, str], peer: str | None) -> str | None:
        """Walk X-Forwarded-For from the near end to the first address that is no proxy of ours.

        What is looked at was written by a proxy of ours, so what cannot be read is no visitor's
        doing: whoever is counted as the proxy would be hidden behind it.
        """
        client = peer
        for step in reversed(headers.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            node = step.strip()
            if not node:
                continue
            address = node_address(node)
            if address is None:
                break
            client = address
            if not self._is_proxy(client):
                break
        return client


@functools.lru_cache(maxsize=256)
def _read_host(text: str, default_port: str) -> str:
    """Read a host and its port, which is left out where everybody knows it."""
    host = text.lower().removesuffix(default_port)
    if len(host) > MAX_HOST or not _HOST.fullmatch(host):
        message = "The Host header is missing or malformed"
        raise BadRequest(message)
    return host


def check_headers(headers: dict[str, str]) -> None:
    """Refuse headers that matter and cannot be read; take out of others what cannot be read.

    WSGI servers hand headers on with a character for each byte, and let no control character in.
    """
    for name in _ASCII:
        if not headers.get(name, "").isascii():
            message = f"The {name.removeprefix('HTTP_').replace('_', '-').title()} header is broken"
            raise BadRequest(message)
    cookies = headers.get("HTTP_COOKIE")
    if cookies and not cookies.isascii():
        # Another site of the same domain may set what it likes; ours are ASCII.
        headers["HTTP_COOKIE"] = ";".join(filter(str.isascii, cookies.split(";")))
    agent = headers.get("HTTP_USER_AGENT")
    if agent and not agent.isascii():
        headers["HTTP_USER_AGENT"] = agent.encode("latin-1", "replace").decode("utf-8", "replace")


def node_address(node: str) -> str | None:
    """Read an address with or without a port; None for a node that does not say who it is.

    RFC 7239 6: `203.0.113.7:51234`, `[2001:db8::7]:51234`, `unknown`, `_hidden`. Addresses of IPv6
    come without brackets too, and `unix:` for a proxy that was asked through a socket of the host.
    """
    text = node.strip('"')
    found = _NODE.fullmatch(text)
    host = (found["bracketed"] or found["plain"]) if found else text
    if _HIDDEN.fullmatch(host):
        return None
    try:
        return _unmapped(str(ipaddress.ip_address(host)))
    except ValueError:
        message = "The X-Forwarded-For header is broken"
        raise BadRequest(message) from None


def _unmapped(address: str | None) -> str | None:
    """Return an IPv4 address that a socket for both families writes as `::ffff:192.0.2.1`."""
    if address is None or ":" not in address or not address.lower().startswith("::ffff:"):
        return address
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)


def read_all(body: Body) -> bytes:
    """Read what an application answers with, and let it clean up."""
    try:
        return b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def no_write(_data: bytes) -> None:
    """Refuse what WSGI calls `write`; nothing here uses it."""
    message = "write() of WSGI is not supported; return the body"
    raise RuntimeError(message)


def networks(text: str) -> tuple[Network, ...]:
    """Read addresses and networks separated by commas."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in parts)
    except ValueError as error:
        message = f"IDP_TRUSTED_PROXIES: {error}"
        raise SettingsError(message) from None


def security_headers(
    *, secure: bool, policy: str = "default-src 'none'; frame-ancestors 'none'"
) -> tuple[tuple[str, str], ...]:
    """List the headers of every answer; a page replaces the content policy by its own."""
    headers = [
        ("Content-Security-Policy", policy),
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ]
    if secure:
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    return tuple(headers)


def read_body(environ: Environ, limit: int = MAX_BODY) -> bytes:
    """Read a whole request body, refusing early what is larger than the limit."""
    stream = environ["wsgi.input"]
    size = check_length(environ, limit)
    if size is not None:
        body: bytes = stream.read(size)
        if len(body) != size:
            message = "The body ended early"
            raise BadRequest(message)
        return body
    if not environ.get("wsgi.input_terminated"):
        return b""
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def check_length(headers: Mapping[str, Any], limit: int) -> int | None:
    """Return how long the body says it is; refused when that is larger than the limit."""
    length = headers.get("CONTENT_LENGTH") or ""
    if not length:
        return None
    if not length.isascii() or not length.isdigit():
        message = "Malformed Content-Length"
        raise BadRequest(message)
    size = int(length[:20])
    if size > limit:
        raise _too_large(limit)
    return size


def check_encoded(text: str) -> None:
    """Refuse form-encoded text that cannot be read; every reader behind may rely on it."""
    if text.count("&") >= forms.MAX_FIELDS:
        raise forms.too_many()
    if "%" in text or "\0" in text or not text.isascii():
        forms.decode(text)


def _too_large(limit: int) -> Problem:
    # What is left of the body is not worth reading.
    return TooLarge(f"The request body exceeds {limit} bytes", headers={"Connection": "close"})


def _request_id(headers: Mapping[str, str], *, trusted: bool) -> str:
    given = headers.get("HTTP_X_REQUEST_ID", "") if trusted else ""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(64):016x}"  # names a request; nothing depends on guessing it


def _moved(origin: str, request: Request) -> Answer:
    """Send to the same path and query elsewhere; 308 keeps method and body."""
    path = quote(request.path.encode("latin-1"), safe=_PATH_SAFE)
    location = origin + path + (f"?{request.query}" if request.query else "")
    return Answer(HTTPStatus.PERMANENT_REDIRECT, (("Location", location),))


def _shown_path(visit: Visit) -> str:
    """Return the path as logs may have it: of a route with a text in it, the route alone."""
    if visit.endpoint == visit.path:  # nothing in it varies
        return visit.path
    if visit.path.startswith(f"{visit.endpoint}/"):
        return visit.endpoint + logs.mask_path(visit.path.removeprefix(visit.endpoint))
    return visit.endpoint if _TEXT_IN_PATH.search(visit.endpoint) else logs.mask_path(visit.path)
