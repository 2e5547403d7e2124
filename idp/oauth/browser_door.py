"""The two endpoints that a browser sees; the only file of the protocol that imports Flask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import flask
from flask import Blueprint, current_app, make_response, redirect, render_template, request
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from idp.oauth import refused_requests
from idp.oauth import visitor as visitors
from idp.oauth.declarations import EXTENSION
from idp.oauth.endpoints.authorize import authorize
from idp.oauth.endpoints.end_session import SignedOut, end_session
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import FormPost, Interaction, ProtocolResponse
from idp.oauth.response import redirect as to
from idp.oauth.visitor import Visitor
from idp.platform.errors import Problem
from idp.platform.sessions import cookie
from idp.platform.sessions import service as sessions
from idp.platform.storage import complete
from idp.platform.web import forms
from idp.platform.web.views import current_issuer, current_visit, database
from idp.platform.web.visit import Environ

blueprint = Blueprint("oauth", __name__)

FORM = "application/x-www-form-urlencoded"


@blueprint.route("/connect/authorize", methods=["GET", "POST"], head=False)
def authorize_view() -> Response:
    """Answer an authorization request."""
    storage, request = current_visit().storage, _request()
    with _keeping_refusals(request):
        answer = complete(authorize(request, storage))
    if isinstance(answer, Interaction):
        return _no_store(redirect(answer.location, 303))
    if isinstance(answer, FormPost):
        return _form_post(answer)
    return _plain(answer)


@blueprint.route("/connect/endsession", methods=["GET", "POST"], head=False)
def end_session_view() -> Response:
    """Answer a logout request."""
    request = _request()
    with _keeping_refusals(request):
        answer = end_session(request, database(), _visitor())
    if isinstance(answer, Interaction):
        return _no_store(redirect(answer.location, 303))
    if isinstance(answer, SignedOut):
        response = _plain(to(answer.location))
        cookie.delete_session(response, current_issuer())
        return response
    return _plain(answer)


@contextmanager
def _keeping_refusals(request: ProtocolRequest) -> Iterator[None]:
    """Keep which check refused a request that ends on an error page."""
    try:
        yield
    except Problem as problem:
        storage = current_visit().storage
        database().rollback()
        complete(refused_requests.keep(storage, request, problem))
        raise


def _request() -> ProtocolRequest:
    """Put the request into plain values."""
    visit = current_visit()
    query = request.environ.get("QUERY_STRING", "")
    return ProtocolRequest(
        method=request.method,
        path=visit.path,
        issuer=current_issuer(),
        server=current_app.extensions[EXTENSION],
        session_cookie=_cookie(),
        query=forms.parse(query) if query else (),
        form=forms.parse(visit.body.decode("latin-1")) if request.mimetype == FORM else None,
        remote_addr=visit.remote_addr,
        request_id=visit.request_id,
    )


def _visitor() -> Visitor | None:
    return visitors.find(database(), current_issuer(), _cookie())


def _cookie() -> str | None:
    return request.cookies.get(sessions.cookie_name(current_issuer()))


class _AsWritten(flask.Response):
    """A redirect to the very text that a client registered.

    Werkzeug would write host, port and brackets of its address in another spelling.
    """

    def get_wsgi_headers(self, environ: Environ) -> Headers:
        """Hold the address back while headers are put in order."""
        location = self.headers.pop("Location", None)
        headers = super().get_wsgi_headers(environ)
        if location is not None:
            self.headers["Location"] = headers["Location"] = location
        return headers


def _plain(answer: ProtocolResponse) -> Response:
    return _AsWritten(answer.body, answer.status, answer.headers)


def _form_post(answer: FormPost) -> Response:
    """Return a page that posts the answer (OAuth 2.0 Form Post Response Mode)."""
    response = make_response(
        render_template("oauth/form_post.html", action=answer.action, fields=answer.fields)
    )
    return _no_store(response)


def _no_store(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
