"""The door of the protocol: requests in, answers out, and no web framework between.

The same coroutine answers on the event loop of a worker (`start`) and behind any WSGI server
(`answer_on_thread`). What it does not answer goes on to the application inside.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from idp.directory.clients import snapshot as clients
from idp.directory.clients.snapshot import ClientView
from idp.oauth import refused_requests
from idp.oauth.client_auth import uses
from idp.oauth.declarations import Endpoint, Readers, Server
from idp.oauth.request import ProtocolRequest
from idp.platform.connections import budget
from idp.platform.connections.budget import Budget
from idp.platform.errors import OAuthError, Problem
from idp.platform.issuer import Issuer
from idp.platform.sessions.service import cookie_name
from idp.platform.storage import SessionStorage, Storage, complete
from idp.platform.web import authorization, cors, forms
from idp.platform.web.authorization import Evidence
from idp.platform.web.requests import Entrance
from idp.platform.web.visit import WSGI, Answer, Body, Environ, Request, Sent, Start, Visit

_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class MachineDoor:
    """Answers the endpoints of the protocol and hands everything else to the application inside."""

    def __init__(self, inner: WSGI, entrance: Entrance, server: Server) -> None:
        self._inner = inner
        self._entrance = entrance
        self.metrics = entrance.metrics
        self.server = server
        self._endpoints = {
            path: endpoint
            for path, endpoint in server.endpoints.items()
            if endpoint.answer is not None
        }
        self._below = tuple(
            (f"{endpoint.path}/", endpoint)
            for endpoint in self._endpoints.values()
            if endpoint.has_paths_below
        )

    def start(
        self, request: Request, storage: Callable[[], Storage]
    ) -> Coroutine[Any, Any, Sent | None] | None:
        """Return the coroutine that answers a request for an endpoint; None for anything else."""
        endpoint = self._find(request.path)
        return None if endpoint is None else self._serve(endpoint, request, storage())

    def _find(self, path: str) -> Endpoint | None:
        """Return the endpoint that answers for a path."""
        found = self._endpoints.get(path)
        if found is None:
            found = next((one for prefix, one in self._below if path.startswith(prefix)), None)
        return found

    def _serve(
        self, endpoint: Endpoint, request: Request, storage: Storage
    ) -> Coroutine[Any, Any, Sent | None]:
        """Return what answers a request for an endpoint; None: the application inside must."""
        handle = functools.partial(self._handle, endpoint)
        return self._entrance.serve(request, storage, handle, machine=not endpoint.has_pages)

    def answer_on_thread(self, request: Request, environ: Environ) -> Sent:
        """Answer a request by the application inside, or here where it comes by WSGI."""
        with budget.spending(Budget(budget.THREAD_SECONDS)):
            return self._answer_on_thread(request, environ)

    def _answer_on_thread(self, request: Request, environ: Environ) -> Sent:
        storage = SessionStorage(self._entrance.runtime.sessions(), commits=True)
        endpoint = self._find(request.path)
        if endpoint is not None and not endpoint.has_pages:
            sent = complete(self._serve(endpoint, request, storage))
            if sent is not None:
                return sent
        return self._entrance.serve_inside(request, storage, self._inner, environ)

    def __call__(self, environ: Environ, start_response: Start) -> Body:
        """Answer one request of a WSGI server, which has nobody else to write uses of secrets."""
        status, headers, body = self.answer_on_thread(_request(environ), environ)
        uses.write_due(self._entrance.runtime)
        if "content-length" not in {name.lower() for name, _ in headers}:
            headers = [*headers, ("Content-Length", str(len(body)))]
        start_response(_STATUS[status], headers)
        return () if environ["REQUEST_METHOD"] == "HEAD" else (body,)

    async def _handle(self, endpoint: Endpoint, visit: Visit) -> Answer | None:
        """Answer by an endpoint, so that the page that asked may read answers and refusals."""
        visit.endpoint = endpoint.path
        try:
            answer = await self._answer(endpoint, visit)
        except Problem as problem:
            answer = self._entrance.render(visit, problem, machine=not endpoint.has_pages)
        if answer is None or endpoint.readers is Readers.SAME_ORIGIN:
            return answer
        if endpoint.readers is Readers.ANYBODY:
            # Also where no page asked: caches hand these answers on to those that do.
            return cors.for_anybody(answer)
        origin = visit.request.headers.get("HTTP_ORIGIN")
        if origin is not None and origin not in await self._origins(visit.storage):
            origin = None
        return cors.for_origin(answer, origin)

    async def _answer(self, endpoint: Endpoint, visit: Visit) -> Answer | None:
        if endpoint.has_pages and visit.method not in endpoint.methods:
            return None  # HEAD as well, which must not make a code
        method = "GET" if visit.method == "HEAD" else visit.method
        if method not in endpoint.methods:
            if visit.method == "OPTIONS":
                return _preflight(visit, endpoint)
            raise _method_not_allowed(endpoint)
        issuer = visit.issuer or await self._entrance.platform_issuer(visit)
        if issuer is None:
            message = "This host is not served here"
            raise OAuthError(message)
        request = self._protocol_request(method, visit, issuer)
        if endpoint.has_paths_below:
            request.host_url = self._host_url(visit)
        assert endpoint.answer is not None  # noqa: S101 - the others are not among ours
        try:
            response = await endpoint.answer(request, visit.storage)
        except Problem as problem:
            await refused_requests.keep(visit.storage, request, problem)
            raise
        if response is None:
            return None
        return Answer(response.status, tuple(response.headers.items()), response.body)

    def _protocol_request(self, method: str, visit: Visit, issuer: Issuer) -> ProtocolRequest:
        headers, query = visit.request.headers, visit.request.query
        cookies = headers.get("HTTP_COOKIE")
        request = ProtocolRequest(
            method=method,
            path=visit.path,
            issuer=issuer,
            server=self.server,
            authorization=authorization.read(headers.get("HTTP_AUTHORIZATION")),
            accept=headers.get("HTTP_ACCEPT", ""),
            session_cookie=None if cookies is None else _cookie(cookies, cookie_name(issuer)),
            query=forms.parse(query) if query else (),
            form=None if visit.form is None else forms.parse(visit.form),
            content=visit.body,
            content_type=headers.get("CONTENT_TYPE", ""),
            remote_addr=visit.remote_addr,
            request_id=visit.request_id,
        )
        if visit.certificates is not None:
            request.certificate = visit.certificates.certificate(headers)
        if visit.alias or "HTTP_DPOP" in headers:
            scheme = self._entrance.runtime.settings.scheme
            request.host_url = self._host_url(visit)
            request.is_alias = bool(visit.alias)
            request.proof = headers.get("HTTP_DPOP")
            if visit.is_proxied and request.proof is not None:
                request.passed_on = _passed_on(headers, scheme, request.certificate)
        return request

    def _host_url(self, visit: Visit) -> str:
        return f"{self._entrance.runtime.settings.scheme}://{visit.alias}{visit.host}"

    @staticmethod
    async def _origins(storage: Storage) -> Collection[str]:
        """List who may read the answer: its client's origins; any client's before it is known."""
        caller: ClientView | None = storage.caller
        if caller is not None:
            return caller.cors_origins
        return await storage.look_up(clients.cors_origins)


def _request(environ: Environ) -> Request:
    """Return the request that a WSGI server hands over; its body is not read."""
    headers = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name] = environ[name]
    return Request(
        environ["REQUEST_METHOD"],
        environ.get("PATH_INFO", ""),
        environ.get("QUERY_STRING", ""),
        environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
        headers,
        environ.get("REMOTE_ADDR", ""),
        (environ.get("SERVER_NAME", ""), environ.get("SERVER_PORT", "")),
        environ=environ,
    )


def _passed_on(
    headers: Mapping[str, str], scheme: str, certificate: bytes | None
) -> Evidence | None:
    """Return what a trusted proxy says of the request that it asks about; None: not all of it."""
    method = _nearest(headers.get("HTTP_X_FORWARDED_METHOD"))
    host = _nearest(headers.get("HTTP_X_FORWARDED_HOST"))
    given = _nearest(headers.get("HTTP_X_FORWARDED_PROTO"))
    target = headers.get("HTTP_X_FORWARDED_URI", "")
    if not (method and target.startswith("/") and host):
        return None
    url = f"{given if given in _SCHEMES else scheme}://{host}{target}"
    return Evidence(headers["HTTP_DPOP"], method, (url,), certificate)


def _nearest(header: str | None) -> str:
    """Return what the nearest proxy wrote, which appends."""
    return (header or "").rpartition(",")[2].strip()


_SCHEMES = frozenset({"http", "https"})


def _cookie(header: str, name: str) -> str | None:
    """Return the first cookie of a name (RFC 6265 5.4)."""
    for pair in header.split(";"):
        key, equals, value = pair.strip().partition("=")
        if equals and key == name:
            return value.strip('"')
    return None


def _preflight(visit: Visit, endpoint: Endpoint) -> Answer:
    allow = _allowed(endpoint)
    headers: tuple[tuple[str, str], ...] = (("Allow", allow),)
    sent = visit.request.headers
    if "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in sent:
        headers += cors.preflight(allow, sent.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"))
    return Answer(204, headers)


def _method_not_allowed(endpoint: Endpoint) -> OAuthError:
    headers = {"Allow": _allowed(endpoint)}
    problem = OAuthError("This method is not allowed here", headers=headers)
    problem.status = 405
    return problem


def _allowed(endpoint: Endpoint) -> str:
    return ", ".join(sorted({*endpoint.methods, *(["HEAD"] if "GET" in endpoint.methods else [])}))
