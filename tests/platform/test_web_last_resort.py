"""No answer leaves without body, request id and security headers, wherever something failed."""

from __future__ import annotations

import pytest
from flask import Response

from idp.platform.web.requests import Entrance

pytestmark = pytest.mark.no_database


class CannotBeWrittenResponse(Response):
    """Fails while its headers are written, as Werkzeug does over a port beyond 65535."""

    def get_wsgi_headers(self, environ):
        raise ValueError("a secret of ours")


class Breaks:
    """A body that breaks off."""

    closed = False

    def __iter__(self):
        yield b"first "
        raise OSError("a secret of ours")

    def close(self):
        self.closed = True


def check_refused(answer):
    assert answer.status_code == 500
    content = answer.get_json()
    assert content["request_id"] == answer.headers["X-Request-Id"]
    assert "secret" not in answer.get_data(as_text=True)
    assert "Location" not in answer.headers
    for name in ("Content-Security-Policy", "X-Frame-Options", "Referrer-Policy"):
        assert len(answer.headers.getlist(name)) == 1, name
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers_that_cannot_be_written(app, client, method):
    @app.get("/broken")
    def broken():
        return CannotBeWrittenResponse("x", 303, {"Location": "https://app.example/"})

    answer = client.open("/broken", method=method)
    if method == "GET":
        check_refused(answer)
        page = client.get("/broken", headers={"Accept": "text/html"})
        assert page.mimetype == "text/html"
        assert page.headers["X-Request-Id"] in page.get_data(as_text=True)
    assert (answer.status_code, answer.headers["X-Frame-Options"]) == (500, "DENY")


def test_a_body_that_breaks_off(app, client):
    body = Breaks()

    @app.get("/broken")
    def broken():
        return Response(body)

    check_refused(client.get("/broken"))
    assert body.closed


def test_what_is_done_after_a_view(app, client):
    @app.get("/fine")
    def fine():
        return "fine"

    @app.after_request
    def break_(_response):
        raise LookupError("a secret of ours")

    check_refused(client.get("/fine"))


@pytest.mark.parametrize("step", ["_admit", "_leave", "render"])
@pytest.mark.parametrize("path", ["/connect/token", "/healthz", "/nowhere"])
def test_a_step_of_the_entrance_itself(client, monkeypatch, step, path):
    def break_(*_, **__):
        raise LookupError("a secret of ours")

    monkeypatch.setattr(Entrance, step, break_)
    answer = client.get(path)
    if (path, step) == ("/connect/token", "_admit"):
        assert answer.get_json()["error"] == "server_error"  # as the protocol says it
        return
    if step == "render" and answer.status_code != 500:
        assert (path, answer.status_code) in {("/healthz", 200), ("/nowhere", 404)}
        return
    check_refused(answer)
