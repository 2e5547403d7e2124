"""Every header that the product reads, as it should not be sent, through the real server.

None is lost in silence: what concerns us and cannot be read is 400, the rest changes nothing.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

import idp
from tests import protocol
from tests.conftest import as_environment, changed
from tests.protocol import add_api, add_person, register, register_machine
from tests.servers import LiveServer, free_port

READ = {
    *("Host", "Authorization", "Content-Type", "Cookie", "User-Agent"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Request-Id", "Sec-Fetch-Mode"),
    *("Client-Cert", "X-Ssl-Client-Cert"),
    *("X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert"),
    *("Dpop", "X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Proto"),
    *("Accept", "Origin", "Access-Control-Request-Method", "Expect", "Connection", "Traceparent"),
}
"""What our own code asks for, but for the two that tell where a body ends."""
LIBRARIES = {
    *("Accept-Language", "Referer", "Range", "If-Range", "If-Match", "If-None-Match"),
    *("If-Modified-Since", "If-Unmodified-Since", "Access-Control-Request-Headers"),
}
"""What Flask, Werkzeug, Flask-WTF and Flask-Babel ask for."""
FRAMING = {"Content-Length", "Transfer-Encoding"}
ONCE = {"Host", "Authorization", "Content-Type"}

NAMES = sorted(READ | LIBRARIES)
EIGHT = 8 * 1024
UTF8, LATIN = b"caf\xc3\xa9", b"caf\xe9"

FOREIGN = b"name=caf\xc3\xa9"


def test_no_header_is_read_that_is_not_tried_here():
    written = re.compile(
        r"HTTP_([A-Z][A-Z_]+)\""
        r"|request\.headers(?:\.get\(|\[)\"([A-Za-z-]+)\""
        r"|\"([A-Za-z-]+)\" (?:not )?in request\.headers"
    )
    read = set()
    for path in Path(idp.__file__).parent.rglob("*.py"):
        for found in written.finditer(path.read_text(encoding="utf-8")):
            name = next(filter(None, found.groups()))
            read.add("-".join(part.capitalize() for part in re.split("[-_]", name)))
    assert read - {"Accept"} <= READ | LIBRARIES | FRAMING
    assert "Cookie" in read


class RawRequests:
    """Requests as bytes, each on a connection of its own."""

    def __init__(self, server: LiveServer) -> None:
        self.host = server.url.partition("//")[2]

    def __call__(self, line: str, *headers: bytes, body: bytes = b"") -> tuple[int, dict, bytes]:
        lines = [f"{line} HTTP/1.1".encode(), *headers, b"Connection: close"]
        if not any(header.lower().startswith(b"host:") for header in headers):
            lines.append(b"Host: " + self.host.encode())
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        name, _, port = self.host.partition(":")
        with socket.create_connection((name, int(port)), timeout=30) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"\r\n".join((*lines, b"", body)))
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
        head, _, content = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        named: dict[str, list[str]] = {}
        for header in rest:
            key, _, value = header.partition(": ")
            named.setdefault(key.lower(), []).append(value)
        return int(first.split(" ")[1]), named, content


@pytest.fixture
def scene(session, live_server):
    """Serve a client, an API's machine and a person who is signed in; a proxy is in front."""
    add_api(session)
    web, machine = register(session), register_machine(session, scopes=["orders.read"])
    user = add_person(session)
    # With traces, so that their header is read as well; nobody takes them.
    server = live_server(
        trusted_proxies="127.0.0.1",
        client_certificate="rfc9440",
        otlp_url=f"http://127.0.0.1:{free_port()}",
        trace_ratio="1",
    )
    asked = RawRequests(server)
    cookie = "=".join(protocol.start_session(session, "127.0.0.1:8000", user)).encode()
    return Scene(asked, web, machine, user, cookie)


class Scene:
    def __init__(self, ask, web, machine, user, cookie):
        self.ask, self.web, self.machine, self.user = ask, web, machine, user
        self.cookie = cookie
        parameters = urlencode(protocol.authorization_parameters(web))
        authorize = f"GET /connect/authorize?{parameters}"
        cookie = b"Cookie: " + self.cookie
        bearer = b"Authorization: Bearer " + self.access_token(machine, TOKEN)
        code = parse_qs(urlsplit(ask(authorize, cookie)[1]["location"][0]).query)["code"][0]
        redeemed = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": protocol.CALLBACK,
            "code_verifier": protocol.VERIFIER,
        }
        of_user = self.access_token(web, urlencode(redeemed).encode())
        self.requests = {
            # On the loop
            "token": ("POST /connect/token", [FORM, self.secret(machine)], TOKEN, 200),
            "userinfo": ("GET /connect/userinfo", [b"Authorization: Bearer " + of_user], b"", 200),
            "authorize": (authorize, [cookie], b"", 303),
            "keys": ("GET /.well-known/openid-configuration/jwks", [], b"", 200),
            "verify": ("GET /gateway/verify?api=1", [bearer], b"", 404),
            # On threads
            "page": ("GET /login", [], b"", 200),
            "account": ("GET /account", [cookie], b"", 200),
            "operation": ("GET /api/Client", [bearer], b"", 401),
            "style": (f"GET {STYLE}", [], b"", 200),
            "health": ("GET /healthz", [], b"", 200),
            "nothing": ("GET /nothing", [], b"", 404),
        }

    def access_token(self, app, body):
        status, _, content = self.ask("POST /connect/token", FORM, self.secret(app), body=body)
        assert status == 200, content
        return json.loads(content)["access_token"].encode()

    @staticmethod
    def secret(app):
        pair = base64.b64encode(f"{app.client_id}:{app.secret}".encode())
        return b"Authorization: Basic " + pair


FORM = b"Content-Type: application/x-www-form-urlencoded"
TOKEN = b"grant_type=client_credentials"
STYLE = "/static/" + next(
    path.relative_to(Path(idp.__file__).parent / "static").as_posix()
    for path in sorted((Path(idp.__file__).parent / "static").rglob("*.css"))
)


def replaced(headers: list[bytes], name: str, *values: bytes) -> list[bytes]:
    """Put other values of a header in the place of what is sent otherwise."""
    kept = [one for one in headers if not one.lower().startswith(name.lower().encode() + b":")]
    return [*kept, *(name.encode() + b": " + value for value in values)]


HOSTLESS = {"verify", "health"}
"""Asked by machines that know an address and no name."""


def expected(place: str, name: str, kind: str, baseline: int, without: int) -> set[int]:
    """Return what may be answered."""
    if place in HOSTLESS and name in {"Host", "X-Forwarded-Host"} and kind != "nul":
        return {baseline, 400}
    unreadable = {
        **{key: {"utf8", "latin", "twice"} for key in ONCE},
        "Host": {"utf8", "latin", "empty", "long", "twice"},
        "X-Forwarded-For": {"utf8", "latin", "long"},
        "X-Forwarded-Host": {"utf8", "latin", "long", "twice"},
    }
    if kind == "nul" or kind in unreadable.get(name, set()):
        return {400}
    if name == "Dpop" and place == "token":
        return {400}  # whoever sends one wants tokens that are bound to its key
    if name in {"Authorization", "Cookie", "Content-Type"}:
        return {baseline, without, 401}
    # A condition may come true, a language may be another one: the same answer or none at all.
    return {baseline, 304, 412, 416, 206}


def test_a_strange_header_is_refused_or_changes_nothing(scene):
    wrong = []
    for place, (line, headers, body, baseline) in scene.requests.items():
        assert scene.ask(line, *headers, body=body)[0] == baseline, place
        for name in NAMES:
            without = scene.ask(line, *replaced(headers, name), body=body)[0]
            values = {
                "utf8": (UTF8,),
                "latin": (LATIN,),
                "nul": (b"a\0b",),
                "empty": (b"",),
                "long": (b"x" * EIGHT,),
                "twice": (b"x", b"x"),
            }
            if name == "Host":
                values["twice"] = (scene.ask.host.encode(),) * 2
            if name == "X-Forwarded-For":
                values["twice"] = (b"203.0.113.7",) * 2
            for kind, given in values.items():
                status, answer, _ = scene.ask(line, *replaced(headers, name, *given), body=body)
                allowed = expected(place, name, kind, baseline, without)
                if status not in allowed or "server" in answer:
                    wrong.append((place, name, kind, status, sorted(allowed)))
    assert wrong == []


def test_forwarded_headers_that_come_twice_are_one_list(scene):
    line, headers, body, _ = scene.requests["keys"]
    host = scene.ask.host.encode()
    # The nearest proxy writes last.
    for given, status in (((b"evil.example", host), 200), ((host, b"evil.example"), 400)):
        asked = replaced(headers, "X-Forwarded-Host", *given)
        assert scene.ask(line, *asked, body=body)[0] == status


@pytest.mark.parametrize("value", [b"name=caf\xc3\xa9", b"name=caf\xe9", b"na\xefve=1", b"\xff"])
def test_a_foreign_cookie_hides_none_of_ours(scene, value):
    for place in ("authorize", "account"):
        line, _, body, baseline = scene.requests[place]
        whole = scene.cookie
        for cookies in (
            [value + b"; " + whole],
            [whole + b"; " + value],
            [value, whole],
            [whole, value],
            [b"a=1;" + value + b";" + whole + b";b=2"],
        ):
            sent = [b"Cookie: " + cookie for cookie in cookies]
            status, answer, _ = scene.ask(line, *sent, body=body)
            assert status == baseline, (place, cookies)
            if place == "authorize":
                assert "code=" in answer["location"][0]
    line, _, _, _ = scene.requests["account"]
    assert scene.ask(line, b"Cookie: " + value)[0] == 303


def signs_in(ask: RawRequests, user, *, joined: bool) -> None:
    """Sign in on the page with a browser that holds a cookie of another site."""

    def cookies(*ours: bytes) -> list[bytes]:
        held = [FOREIGN, *ours]
        if joined:
            return [b"Cookie: " + b"; ".join(held)]
        return [b"Cookie: " + cookie for cookie in held]

    def given(headers: dict) -> list[bytes]:
        return [value.partition(";")[0].encode() for value in headers.get("set-cookie", [])]

    status, headers, page = ask("GET /login", *cookies())
    assert status == 200
    form_cookie = given(headers)
    token = re.search(r'name="csrf_token"\s+value="([^"]+)"', page.decode())
    body = urlencode(
        {
            "csrf_token": unescape(token[1]),
            "login": user.username,
            "password": protocol.PASSWORD,
        }
    ).encode()
    status, headers, page = ask("POST /login", FORM, *cookies(*form_cookie), body=body)
    assert status == 303, page
    signed_in = [*form_cookie, *given(headers)]
    status, _, page = ask("GET /account", *cookies(*signed_in))
    assert status == 200
    assert user.username in page.decode()


@pytest.mark.parametrize("joined", [True, False])
def test_somebody_with_a_cookie_of_another_site_signs_in(scene, joined):
    signs_in(scene.ask, scene.user, joined=joined)


def test_a_hidden_visitor_is_not_counted_as_the_proxy(live_server, session):
    # With traces, so that their header is read as well; nobody takes them.
    server = live_server(
        trusted_proxies="127.0.0.1", otlp_url=f"http://127.0.0.1:{free_port()}", trace_ratio="1"
    )
    ask = RawRequests(server)
    forwarded = b"X-Forwarded-For: caf\xc3\xa9, 203.0.113.7:51234"
    assert ask("GET /nothing", forwarded)[0] == 404
    assert "203.0.113.7" in server.output()
    assert "51234" not in server.output()


def test_gunicorn_follows_the_same_rules(settings, session, tmp_path):
    user, port = add_person(session), free_port()
    session.commit()
    served = changed(settings, public_url=f"http://127.0.0.1:{port}", trusted_proxies="127.0.0.1")
    log = tmp_path / "gunicorn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "idp.wsgi:app", "--bind", f"127.0.0.1:{port}"),
                *("--threads", "4", "--no-control-socket"),
            ],
            env={**os.environ, **as_environment(served)},
            stdout=output,
            stderr=output,
        )
    server = LiveServer(f"http://127.0.0.1:{port}", process, {}, log)
    try:
        end = time.monotonic() + 60
        while not server._ready():
            assert process.poll() is None, server.output()
            assert time.monotonic() < end, server.output()
            time.sleep(0.1)
        ask = RawRequests(server)
        signs_in(ask, user, joined=True)
        for header, status in (
            (b"Authorization: Bearer caf\xc3\xa9", 400),
            (b"Content-Type: text/caf\xe9", 400),
            (b"X-Forwarded-For: caf\xc3\xa9", 400),
            (b"X-Forwarded-For: [2001:db8::7]:51234", 404),
            (b"User-Agent: caf\xe9", 404),
            (b"Accept-Language: caf\xe9", 404),
            (b"Accept: a\0b", 400),
        ):
            assert ask("GET /nothing", header)[0] == status, header
    finally:
        server.stop()
