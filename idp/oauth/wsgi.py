"""The door of the machine endpoints: WSGI in, WSGI out, and no web framework between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sqlalchemy.orm import Session

from idp.directory.clients.view import ClientView
from idp.oauth.request import CALLER, ProtocolRequest
from idp.oauth.response import ProtocolResponse
from idp.platform.errors import OAuthError, Problem
from idp.platform.web import cors, forms
from idp.platform.web.requests import Entrance
from idp.platform.web.visit import WSGI, Answer, Body, Environ, Start, Visit

Handler = Callable[[ProtocolRequest, Session], ProtocolResponse]
Endpoints = Mapping[str, tuple[Collection[str], Handler]]
"""Path → methods and the function that answers."""

Origins = Callable[[Session], Collection[str]]
"""Every origin that some client lists under its allowed CORS origins."""

ANY_ORIGIN = frozenset(
    {
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/jwks",
        "/.well-known/oauth-authorization-server",
    }
)
CLIENT_ORIGINS = frozenset({"/connect/token", "/connect/userinfo", "/connect/revocation"})

_FORM = "application/x-www-form-urlencoded"
_READ = {"HTTP_AUTHORIZATION": "authorization", "HTTP_ACCEPT": "accept"}
"""The headers that endpoints read, by their variable."""


AT_ONCE = ANY_ORIGIN | {
    "/connect/token",
    "/connect/introspect",
    "/connect/userinfo",
    "/gateway/verify",
}


def needs_no_thread(environ: Environ) -> bool:
    """Guess whether a request can be answered on the event loop.

    Where the guess is wrong, the request finds out and is answered by a thread.
    """
    path = environ["PATH_INFO"]
    return path in AT_ONCE or (
        # Who is not signed in will be asked to, which takes a thread.
        path == "/connect/authorize"
        and environ["REQUEST_METHOD"] == "GET"
        and "HTTP_COOKIE" in environ
    )


class MachineDoor:
    """Answers the machine endpoints and hands everything else to the application inside."""

    def __init__(
        self, inner: WSGI, entrance: Entrance, endpoints: Endpoints, origins: Origins
    ) -> None:
        self._inner = inner
        self._entrance = entrance
        self._origins = origins
        self._endpoints = {
            path: (frozenset(methods) | ({"HEAD"} if "GET" in methods else frozenset()), handler)
            for path, (methods, handler) in endpoints.items()
        }

    def close(self) -> None:
        """Close what the event loop held open."""
        self._entrance.close()

    def __call__(self, environ: Environ, start_response: Start) -> Body:
        """Answer one request, whatever happens."""
        try:
            return self._serve(environ, start_response)
        except Exception as error:  # noqa: BLE001 - the renderer of last resort
            return self._entrance.last_resort(environ, error, start_response)

    def _serve(self, environ: Environ, start_response: Start) -> Body:
        endpoint = self._endpoints.get(environ.get("PATH_INFO", ""))
        visit, answer = self._entrance.admit(environ, machine=endpoint is not None)
        if endpoint is None:
            if answer is None:
                return self._entrance.pass_on(visit, self._inner, environ, start_response)
            return self._entrance.answer(visit, answer, start_response)
        visit.endpoint = visit.path
        if answer is None:
            try:
                answer = self._answer(visit, environ, *endpoint)
            except Exception as error:  # noqa: BLE001 - the renderer of last resort
                visit.session.rollback()
                answer = self._entrance.refuse(environ, visit, error, machine=True)
        return self._entrance.answer(visit, answer, start_response)

    def _answer(
        self, visit: Visit, environ: Environ, methods: Collection[str], handler: Handler
    ) -> Answer:
        """Answer, refusals included; the page that asked may read both, where its origin may."""
        try:
            answer = self._handle(visit, environ, methods, handler)
        except Problem as problem:
            visit.session.rollback()
            answer = self._entrance.render(environ, visit, problem, machine=True)
        return self._with_cors(visit, environ.get("HTTP_ORIGIN"), answer)

    def _handle(
        self, visit: Visit, environ: Environ, methods: Collection[str], handler: Handler
    ) -> Answer:
        if visit.method not in methods:
            if visit.method == "OPTIONS":
                return _preflight(environ, methods)
            raise _method_not_allowed(methods)
        issuer = visit.issuer or self._entrance.platform_issuer(visit)
        if issuer is None:
            message = "This host is not served here"
            raise OAuthError(message)
        kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        query = environ.get("QUERY_STRING", "")
        response = handler(
            ProtocolRequest(
                method="GET" if visit.method == "HEAD" else visit.method,
                path=visit.path,
                issuer=issuer,
                headers=_headers(environ),
                query=forms.parse(query) if query else (),
                form=forms.parse(visit.body.decode("latin-1")) if kind == _FORM else None,
                remote_addr=visit.remote_addr,
                request_id=visit.request_id,
            ),
            visit.session,
        )
        return Answer(response.status, tuple(response.headers.items()), response.body)

    def _with_cors(self, visit: Visit, origin: str | None, answer: Answer) -> Answer:
        if visit.path in ANY_ORIGIN:
            # Also where no page asked: caches hand these answers on to those that do.
            return cors.for_anybody(answer)
        if visit.path not in CLIENT_ORIGINS:
            return answer
        headers = (*answer.headers, ("Vary", "Origin"))
        if origin is not None and origin in self._origins_of(visit):
            headers += (
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Expose-Headers", cors.EXPOSED),
            )
        return Answer(answer.status, headers, answer.body)

    def _origins_of(self, visit: Visit) -> Collection[str]:
        """List who may read the answer: its client's origins; any client's before it is known."""
        caller: ClientView | None = visit.session.info.get(CALLER)
        return self._origins(visit.session) if caller is None else caller.cors_origins


def _preflight(environ: Environ, methods: Collection[str]) -> Answer:
    allow = ", ".join(sorted(methods))
    headers: tuple[tuple[str, str], ...] = (("Allow", allow),)
    if "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
        headers += cors.preflight(allow, environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"))
    return Answer(204, headers)


def _method_not_allowed(methods: Collection[str]) -> OAuthError:
    allow = ", ".join(sorted(methods))
    problem = OAuthError("This method is not allowed here", headers={"Allow": allow})
    problem.status = 405
    return problem


def _headers(environ: Environ) -> dict[str, str]:
    return {_READ[name]: value for name, value in environ.items() if name in _READ}
