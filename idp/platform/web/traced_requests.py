"""The entrance of an installation that is traced; the other one knows nothing of traces."""

from __future__ import annotations

from idp.platform import tracing
from idp.platform.storage import Storage
from idp.platform.web.requests import Entrance
from idp.platform.web.visit import WSGI, Environ, Request, Sent, Visit

_SERVER_ERRORS = 500


class TracedEntrance(Entrance):
    """The one way in, with a span for each request."""

    def _open(self, request: Request, storage: Storage) -> Visit:
        visit = super()._open(request, storage)
        tracer = self.runtime.tracer
        assert tracer is not None  # noqa: S101 - this entrance is chosen where there is one
        # What a visitor sends would put our spans into traces of their choice, and have them sent.
        given = request.headers.get("HTTP_TRACEPARENT") if visit.is_proxied else None
        storage.span = tracer.begin(visit.method, given)
        return visit

    def _pass_on(self, visit: Visit, inner: WSGI, environ: Environ) -> Sent:
        with tracing.using(visit.storage.span):
            return super()._pass_on(visit, inner, environ)

    def _leave(self, visit: Visit, status: int) -> None:
        with tracing.using(visit.storage.span):  # for the line of the access log
            super()._leave(visit, status)
        if visit.storage.span is not None:
            about: dict[str, str | int] = {
                "http.request.method": visit.method,
                "http.route": visit.endpoint,
                "http.response.status_code": status,
                "idp.request_id": visit.request_id,
            }
            name = f"{visit.method} {visit.endpoint}"
            visit.storage.span.end(about, name=name, has_failed=status >= _SERVER_ERRORS)
