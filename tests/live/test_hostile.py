"""Requests that are made to be expensive, sent to a server of one worker: all others are served."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from idp.platform.web.requests import MAX_BODY
from tests import protocol
from tests.live.site import Line
from tests.servers import LiveServer

pytestmark = pytest.mark.no_database

AT_A_TIME = 8
"""As many as a worker has threads."""
PATIENCE_SECONDS = 60
"""What is done in seconds on any machine, and in minutes or hours where work goes with a square."""

LONG_PATHS = ["/" + unit * (60_000 // len(unit)) for unit in ("!", "a", "a/", "@", "-", "%41")]
UNCLOSED = b"[]" * 70 + b'"' + b'\\"' * 400_000
BODIES = [UNCLOSED, UNCLOSED[:60_000], b"[" * MAX_BODY, b'"' * MAX_BODY, b"\\" * MAX_BODY]


def get(path: str) -> bytes:
    """Write a request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: {{host}}\r\n\r\n".encode()


def post(path: str, kind: str, body: bytes, *headers: str) -> bytes:
    """Write a request with a body."""
    head = (f"POST {path} HTTP/1.1", "Host: {host}", f"Content-Type: {kind}", *headers)
    return "\r\n".join((*head, f"Content-Length: {len(body)}", "", "")).encode() + body


class Crowd:
    """Connections on which something expensive was asked."""

    def __init__(self, stack: ExitStack, server: LiveServer, request: bytes) -> None:
        host = urlsplit(server.url).netloc
        name, _, port = host.partition(":")
        self._connections = [
            stack.enter_context(socket.create_connection((name, int(port)), PATIENCE_SECONDS))
            for _ in range(AT_A_TIME)
        ]
        head, mark, body = request.partition(b"\r\n\r\n")
        for connection in self._connections:
            connection.sendall(head.replace(b"{host}", host.encode()) + mark + body)

    def statuses(self) -> set[int]:
        """Read every answer."""
        found = set()
        for connection in self._connections:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            found.add(answer.status)
        return found


def is_served(server: LiveServer, machine: protocol.App) -> bool:
    """Whether health and tokens are answered, each over a new connection."""
    host = urlsplit(server.url).netloc
    with Line(host, PATIENCE_SECONDS) as line:
        assert line.ask("GET", "/healthz").status == 200
    with Line(host, PATIENCE_SECONDS) as line:
        form = {"grant_type": "client_credentials", **machine.post}
        return line.ask("POST", "/connect/token", form).status == 200


@pytest.fixture
def machine(session) -> protocol.App:
    """Register a client that asks for itself."""
    protocol.add_api(session)
    return protocol.register_machine(session, scopes=["orders.read"])


def test_long_paths_keep_nobody_waiting(live_server, machine):
    server = live_server()
    for path in LONG_PATHS:
        with ExitStack() as stack:
            crowd = Crowd(stack, server, get(path))
            assert is_served(server, machine)
            assert crowd.statuses() == {414}
            assert is_served(server, machine)


@pytest.mark.parametrize("path", ["/connect/token", "/login", "/nothing", "/api/Role"])
def test_json_that_is_never_closed_keeps_nobody_waiting(live_server, machine, path):
    server = live_server()
    for body in BODIES:
        with ExitStack() as stack:
            crowd = Crowd(stack, server, post(path, "application/json", body))
            assert is_served(server, machine)
            assert crowd.statuses() <= {400, 401, 404}
            assert is_served(server, machine)
