"""Requests that are too large, too deep, too many or malformed: refused early, never a 500."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_to_bytes

import pytest
from sqlalchemy import select
from werkzeug.test import EnvironBuilder, run_wsgi_app

from idp.oauth.models import AuthorizationCode
from idp.platform.web.forms import MAX_FIELDS
from idp.platform.web.requests import MAX_BODY, MAX_PATH, MAX_QUERY
from tests import protocol

pytestmark = pytest.mark.no_database

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "start", ["/", "/connect/token/", "/static/", "/user/name/", "/api/Client/"]
)
@pytest.mark.parametrize("unit", ["a", "!", "@", "%2F", "%C3%A9"])
def test_a_path_over_two_kilobytes_is_refused_whatever_it_is(client, start, unit):
    size = len(unquote_to_bytes(unit))
    for length in (2047, 2048, 2049, 60_000):
        rest = length - len(start)
        path = start + unit * (rest // size) + "a" * (rest % size)
        answer = client.get(path)
        assert (answer.status_code == 414) == (length > MAX_PATH), answer
        assert answer.status_code < 500
        assert answer.headers["X-Request-Id"]
        if length > MAX_PATH:
            assert answer.get_json()["code"] == "too_long"
            assert client.post(path, json={}).status_code == 414


def test_a_path_that_is_refused_for_its_length_does_not_fill_the_log(client, capfd):
    assert client.get("/" + "a/" * 30_000).status_code == 414
    assert len(capfd.readouterr().err) < 2 * MAX_PATH


@pytest.mark.parametrize("path", ["/connect/authorize", "/connect/userinfo", "/login", "/nothing"])
def test_a_query_over_the_limit_is_refused(client, path):
    exact = client.get(path, query_string="state=" + "x" * (MAX_QUERY - 6))
    assert exact.status_code in {303, 400, 401, 200, 404}
    assert client.get(path, query_string="state=" + "x" * (MAX_QUERY - 5)).status_code == 414


def test_a_long_path_is_refused_over_the_wire(live_server):
    server = live_server()
    port = int(server.url.rpartition(":")[2])
    for length in (2047, 2048, 2049, 60_000):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/" + "!" * (length - 1))
        answer = connection.getresponse()
        assert answer.status == (404 if length <= MAX_PATH else 414)
        answer.read()
        connection.close()


@pytest.mark.parametrize("path", ["/connect/token", "/login"])
def test_a_huge_body_is_refused(client, path):
    body = b"a=" + b"x" * MAX_BODY
    answer = client.post(path, data=body, content_type=FORM)
    assert answer.status_code == 413
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/connect/token", "/login"])
def test_the_largest_body_is_read(client, path):
    body = b"a=" + b"x" * (MAX_BODY - 2)
    answer = client.post(path, data=body, content_type=FORM)
    assert answer.status_code in {400, 401}


def test_a_body_without_a_length_is_read_up_to_the_limit(app):
    class Endless:
        read_so_far = 0

        def read(self, size=-1):
            assert size >= 0
            self.read_so_far += size
            return b"x" * size

    endless = Endless()
    builder = EnvironBuilder(path="/connect/token", method="POST", base_url="http://127.0.0.1:8000")
    environ = builder.get_environ()
    environ |= {"CONTENT_LENGTH": "", "wsgi.input": endless, "wsgi.input_terminated": True}
    _, status, _ = run_wsgi_app(app, environ)
    assert status.startswith("413")
    assert endless.read_so_far <= MAX_BODY + 1


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "٣", "9" * 400])
def test_a_malformed_length_is_refused(client, length):
    answer = client.post("/connect/token", data="a=b", environ_overrides={"CONTENT_LENGTH": length})
    assert answer.status_code in {400, 413}


@pytest.mark.parametrize("path", ["/connect/token", "/login", "/connect/authorize"])
def test_ten_thousand_form_fields_are_refused(client, path):
    answer = client.post(path, data="&".join(["a=b"] * 10_000), content_type=FORM)
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/connect/userinfo", "/connect/authorize", "/login"])
def test_too_many_query_parameters_are_refused(client, path):
    answer = client.get(path, query_string="&".join(["a=b"] * (MAX_FIELDS + 1)))
    assert answer.status_code == 400


@pytest.mark.parametrize("text", ["a=%zz", "a=%", "a=%f", "a=%ff", "%c3%28=b", "a=%00", "a=b\0"])
@pytest.mark.parametrize("path", ["/connect/token", "/connect/authorize", "/login"])
def test_malformed_form_encoding_is_refused(client, path, text):
    answer = client.post(path, data=text.encode(), content_type=FORM)
    assert answer.status_code == 400
    answer = client.get(f"{path}?{text}" if "\0" not in text else f"{path}?a=%00")
    assert answer.status_code in {400, 405}
    if path != "/connect/token":
        assert answer.status_code == 400


@pytest.mark.parametrize("raw", [b"/\xff\xfe", b"/account/\xc3\x28", "/a\ufffdb".encode()])
def test_a_path_that_is_no_utf8_is_refused(client, raw):
    answer = client.get("/", environ_overrides={"PATH_INFO": raw.decode("latin-1")})
    assert answer.status_code == 400


def test_just_enough_fields_are_read(client):
    form = "&".join(f"a{n}=b" for n in range(MAX_FIELDS))
    answer = client.post("/connect/token", data=form, content_type=FORM)
    assert answer.status_code == 401


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data; boundary=x", FORM])
def test_odd_media_types_are_no_server_errors(client, kind):
    for path in ("/connect/token", "/connect/introspect", "/connect/authorize", "/login"):
        answer = client.post(path, data=b"--x\r\nnonsense", content_type=kind)
        assert answer.status_code < 500


def test_a_wrong_method_is_told_the_right_ones(client):
    answer = client.get("/connect/token")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.get_json()["error"] == "invalid_request"
    answer = client.post("/.well-known/openid-configuration")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    answer = client.delete("/login")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("TEXT/HTML", True),
        ("application/json, text/html;q=0.5", False),
        ("text/html;q=0, */*", False),
        ("application/x-text/html", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_refusal_is_a_page_for_those_who_prefer_one(client, accept, is_page):
    # RFC 9110 12.5.1
    for path, base in (("/nowhere", None), ("/account", "http://elsewhere.example")):
        answer = client.get(path, headers={"Accept": accept}, base_url=base or client.base_url)
        assert answer.status_code in {400, 404}
        assert (answer.mimetype == "text/html") is is_page, path


def test_head_has_the_headers_of_get_and_no_body(client):
    got = client.get("/.well-known/openid-configuration/jwks")
    head = client.head("/.well-known/openid-configuration/jwks")
    assert head.status_code == got.status_code == 200
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert head.data == b""


def test_head_changes_nothing(client, session):
    """Programs that look behind links send HEAD: no code is made, and no person is signed out."""
    app = protocol.register(session)
    protocol.sign_in(client, session, protocol.add_person(session))
    tokens = protocol.obtain(client, app)
    hint = {"id_token_hint": tokens.body["id_token"]}
    requests = {
        "/connect/authorize": protocol.authorization_parameters(app),
        "/connect/endsession": hint,
    }
    for path, query in requests.items():
        head = client.head(path, query_string=query)
        assert head.status_code == 405
        assert set(head.headers["Allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
        assert "Location" not in head.headers
        assert "Set-Cookie" not in head.headers
        assert client.options(path).headers["Allow"] == head.headers["Allow"]
    assert len(session.scalars(select(AuthorizationCode)).all()) == 1
    assert protocol.is_active(client, app, tokens.access)
    assert protocol.code_of(protocol.authorize(client, app, prompt="none"))


# Over the wire, where bodies arrive slowly.


def _half_sent(port, path="/connect/token"):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {FORM}\r\n"
        "Content-Length: 100\r\n\r\ngrant_type=".encode()
    )
    return connection


def _tokens(port, app, count):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    times = []
    for _ in range(count):
        started = time.perf_counter()
        connection.request(
            "POST",
            "/connect/token",
            f"grant_type=client_credentials&client_id={app.client_id}&client_secret={app.secret}",
            {"Content-Type": FORM},
        )
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        times.append(time.perf_counter() - started)
    connection.close()
    return sorted(times)


def test_half_sent_bodies_hold_nothing_that_others_need(live_server, session):
    protocol.add_api(session)
    app = protocol.register_machine(session, scopes=("orders.read",))
    server = live_server()
    port = int(server.url.rpartition(":")[2])
    _tokens(port, app, 20)
    alone = _tokens(port, app, 200)
    slow = [_half_sent(port) for _ in range(50)]
    try:
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(_tokens, port, app, 200).result(30)
        # All but one of 200. A blocked thread would wait for the rest of a body, for ten seconds;
        # a busy machine needs a fraction of one.
        assert beside[198] < alone[198] + 2
        for connection in slow:
            connection.sendall(b"x" * 89)
        for connection in slow:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status in {400, 401}
    finally:
        for connection in slow:
            connection.close()


def test_a_large_body_is_refused_before_it_is_sent(live_server):
    server = live_server()
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            f"POST /connect/token HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: {FORM}\r\nContent-Length: 104857600\r\n\r\n".encode()
        )
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413
        assert answer.headers["Connection"] == "close"
