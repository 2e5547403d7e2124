"""The hook of a virus scanner: what it says decides, and its silence is no yes."""

from __future__ import annotations

import shlex
import socket
import struct
import sys
import threading
from io import BytesIO

import pytest

from idp.platform.errors import Unavailable
from idp.publishing.files import scanner
from tests.servers import short_dir

pytestmark = pytest.mark.no_database

VIRUS = b"X5O!P%@AP"
CONTENT = bytes(300_000) + VIRUS


def command(code):
    return f"{sys.executable} -c {shlex.quote(code)}"


SCANS = command(f"import sys; sys.exit({VIRUS!r} in sys.stdin.buffer.read())")


@pytest.fixture(params=["unix", "tcp"])
def clamd(request):
    """Answer one question as clamd does."""
    if request.param == "unix":
        path = short_dir() / "clamd.ctl"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        address = f"unix:{path}"
    else:
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    server.listen(1)
    replies = []

    def answer():
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as sent:
            assert sent.read(10) == b"zINSTREAM\0"
            content = b""
            while size := struct.unpack("!I", sent.read(4))[0]:
                content += sent.read(size)
            found = b"stream: Eicar FOUND\0" if VIRUS in content else b"stream: OK\0"
            connection.sendall(replies[0] if replies else found)

    thread = threading.Thread(target=answer)
    thread.start()
    yield address, replies
    thread.join(10)
    server.close()


def test_without_a_scanner_everything_is_clean():
    assert scanner.is_clean("", BytesIO(CONTENT))


@pytest.mark.parametrize(
    ("content", "clean"), [(CONTENT, False), (CONTENT[:-1], True)], ids=["virus", "clean"]
)
def test_clamd_is_asked(clamd, content, clean):
    stream = BytesIO(content)
    assert scanner.is_clean(clamd[0], stream) is clean
    assert stream.read() == content


@pytest.mark.parametrize("reply", [b"", b"INSTREAM size limit exceeded. ERROR\0", b"stream: OK"])
def test_an_answer_that_is_none_is_no_yes(clamd, reply):
    clamd[1].append(reply)
    with pytest.raises(Unavailable):
        scanner.is_clean(clamd[0], BytesIO(CONTENT))


@pytest.mark.parametrize(
    ("content", "clean"), [(CONTENT, False), (CONTENT[:-1], True)], ids=["virus", "clean"]
)
def test_a_command_is_asked(content, clean):
    assert scanner.is_clean(SCANS, BytesIO(content)) is clean


def test_a_command_may_know_before_the_end():
    assert not scanner.is_clean(command("import sys; sys.exit(1)"), BytesIO(bytes(5_000_000)))


@pytest.mark.parametrize(
    "setting",
    [
        "/no/such/scanner -",
        "unix:/no/such/socket",
        "tcp://127.0.0.1:1",
        "tcp://127.0.0.1:none",
        "'",
        command("import sys; sys.exit(2)"),
        command("import os; os.kill(os.getpid(), 9)"),
    ],
)
def test_a_scanner_that_does_not_answer_lets_nothing_in(setting):
    with pytest.raises(Unavailable):
        scanner.is_clean(setting, BytesIO(CONTENT))


def test_a_scanner_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(scanner, "SECONDS", 0.2)
    with pytest.raises(Unavailable):
        scanner.is_clean(command("import time; time.sleep(60)"), BytesIO(bytes(5_000_000)))


def test_a_command_learns_no_secret(monkeypatch):
    monkeypatch.setenv("IDP_SECRET_KEY", "secret")
    looks = command("import os, sys; sys.exit(any('IDP' in name for name in os.environ))")
    assert scanner.is_clean(looks, BytesIO(b"content"))
