"""The load generator against a real socket: bodies of every kind, connections that end."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from bench import load
from bench.load import LoadError, Request

pytestmark = pytest.mark.no_database


@contextlib.contextmanager
def answering(*answers):
    """Serve connections one after the other, each with these pieces for every request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection):
            with connection, contextlib.suppress(OSError):
                while connection.recv(65536):
                    for piece in answers:
                        connection.sendall(piece)
                    if b"connection: close" in answers[0].lower():
                        return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def plain(body, *more):
    """Write an answer with a length."""
    head = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_in_chunks_is_joined():
    """Whatever they contain, and however they arrive."""
    with answering(CHUNKED, b"4\r\nab\r\n\r\n3;x=", b"y\r\n\r\nc\r\n", b"0\r\n\r\n") as url:
        assert load.once(url, Request("GET", "/")).body == b"ab\r\n\r\nc"


def test_no_content_has_no_length():
    """As RFC 9110 has it."""
    with answering(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n") as url:
        assert load.once(url, Request("GET", "/")).status == 204


def test_an_answer_without_an_end_is_refused():
    """Its end could only be told by the connection's."""
    with answering(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nbody") as url, pytest.raises(LoadError):
        load.once(url, Request("GET", "/"))


@pytest.mark.parametrize("more", [(), (b"Connection: close",)], ids=["kept", "closed"])
def test_a_script_sends_to_the_host_that_its_requests_name(more):
    """Each host has a connection of its own, opened again where the server closes it."""
    seen = []

    def script():
        yield None
        while True:
            first = (yield Request("GET", "/")).expect(200)
            second = (yield Request("GET", "/", host=there.removeprefix("http://"))).expect(200)
            seen.append((first.body, second.body))
            yield None

    with answering(plain(b"here", *more)) as here, answering(plain(b"there", *more)) as there:
        taken = load.drive(here, script, 0.2, connections=2)
    assert taken.units > 0
    assert set(seen) == {(b"here", b"there")}


def test_the_meter_is_read_around_what_counts():
    """Preparations and warming up are not in it."""
    readings = iter([[1.0, 5.0], [3.5, 5.5]])
    with answering(plain(b"x")) as url:
        taken = load.drive(url, load.repeat(Request("GET", "/")), 0.1, 1, lambda: next(readings))
    assert taken.spent == [2.5, 0.5]
