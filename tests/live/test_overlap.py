"""Who may have an address and a database, and how one server takes over from another."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from idp.config import Settings
from tests.conftest import as_environment
from tests.live.site import Line
from tests.nursery import NURSERY, ROOT
from tests.servers import LiveServer, clean_environment, free_port, short_dir

LiveServers = Callable[..., LiveServer]

JWKS = "/.well-known/openid-configuration/jwks"
VISITORS = 8


def port_of(server: LiveServer) -> int:
    return int(server.url.rpartition(":")[2])


def second(settings: Settings, port: int, *arguments: str, **fields: Any) -> tuple[int, str]:
    """Start another server that is to give up by itself; return exit code and complaint."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    environment = as_environment(Settings(**{**given, **fields}))
    serve = ("serve", "--listen", f"127.0.0.1:{port}", *arguments)
    done = NURSERY.run(serve, clean_environment() | environment, ROOT, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def elsewhere(settings: Settings, folder: Path) -> dict[str, Any]:
    """Name another database, so that only the address is in question."""
    folder.mkdir(exist_ok=True)
    other = {"data_dir": folder, "database_url": f"sqlite:///{folder / 'other.sqlite3'}"}
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    environment = as_environment(Settings(**{**given, **other}))
    NURSERY.run(["setup"], clean_environment() | environment, ROOT, 60).check_returncode()
    return other


def test_an_address_that_another_server_holds_is_not_shared(
    live_server: LiveServers, settings: Settings, tmp_path: Path
) -> None:
    server = live_server()
    port = port_of(server)
    code, complaint = second(settings, port, **elsewhere(settings, tmp_path / "other"))
    assert code == 1
    assert complaint == f"Error: 127.0.0.1:{port} is in use; choose another with --listen.\n"
    with urllib.request.urlopen(server.url + JWKS) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("shares", [True, False])
def test_an_address_that_anything_else_holds_is_not_shared(
    settings: Settings, tmp_path: Path, shares: bool
) -> None:
    with socket.socket() as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, complaint = second(settings, other.getsockname()[1])
        assert code == 1
        assert "is in use" in complaint


def test_an_address_that_is_not_of_this_host_is_named(settings: Settings) -> None:
    arguments = ("--listen", "192.0.2.1:8000")
    code, complaint = second(settings, 1, *arguments)
    assert code == 1
    assert complaint.startswith("Error: 192.0.2.1:8000 cannot be had (")


def test_the_address_for_figures_is_not_shared_either(
    live_server: LiveServers, settings: Settings, tmp_path: Path
) -> None:
    figures = f"127.0.0.1:{free_port()}"
    live_server(metrics_listen=figures)
    given = elsewhere(settings, tmp_path / "other")
    code, complaint = second(settings, free_port(), metrics_listen=figures, **given)
    assert code == 2
    assert complaint == f"Error: IDP_METRICS_LISTEN: {figures} is in use; name another.\n"


@pytest.mark.sqlite
def test_an_embedded_database_has_one_server(live_server: LiveServers, settings: Settings) -> None:
    server = live_server()
    code, complaint = second(settings, free_port())
    assert code == 1
    assert complaint.startswith("Error: another server uses ")
    assert "--overlap" in complaint
    assert server.stop() == 0
    # Whoever was killed holds nothing back.
    server = live_server()
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait(10)
    live_server()


@pytest.mark.postgresql
def test_several_servers_share_postgresql(live_server: LiveServers) -> None:
    for server in (live_server(), live_server()):
        with urllib.request.urlopen(server.url + JWKS) as answer:
            assert answer.status == 200


@dataclass
class Visitor(threading.Thread):
    """Asks again and again, on one connection as long as it stays open."""

    host: str
    answered: int = 0
    faults: list[object] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            while not self.is_over.is_set():
                with Line(self.host) as line:
                    is_open = True
                    while is_open and not self.is_over.is_set():
                        answer = line.ask("GET", JWKS)
                        self.answered += 1
                        if answer.status != 200:
                            self.faults.append(answer)
                        is_open = answer.headers.get("connection") != "close"
        except (OSError, http.client.HTTPException) as error:
            self.faults.append(error)


@contextlib.contextmanager
def visited(server: LiveServer) -> Iterator[Callable[[], None]]:
    """Start many that ask; return a function that waits until each of them was answered again."""
    visitors = [Visitor(server.url.partition("//")[2]) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()

    def all_are_answered() -> None:
        before = [visitor.answered for visitor in visitors]
        end = time.monotonic() + 60
        while any(
            visitor.answered < count + 3 for visitor, count in zip(visitors, before, strict=True)
        ):
            assert [fault for visitor in visitors for fault in visitor.faults] == []
            assert time.monotonic() < end
            time.sleep(0.05)

    try:
        yield all_are_answered
    finally:
        for visitor in visitors:
            visitor.is_over.set()
        for visitor in visitors:
            visitor.join(30)
    assert [fault for visitor in visitors for fault in visitor.faults] == []


def wait_for(text: str, server: LiveServer) -> None:
    """Wait until a server has written something."""
    end = time.monotonic() + 60
    while text not in server.output():
        assert time.monotonic() < end, server.output()
        time.sleep(0.05)


@pytest.fixture
def started() -> Iterator[list[LiveServer]]:
    """Stop servers that a test started by itself."""
    servers: list[LiveServer] = []
    yield servers
    for server in servers:
        server.stop()


def figures(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        return str(answer.read(), "utf-8")


def test_a_server_takes_over_from_another_one_and_no_request_is_lost(
    live_server: LiveServers,
    settings: Settings,
    started: list[LiveServer],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    workers = 2 if pytestconfig.getoption("database") == "postgresql" else 1
    metrics = f"127.0.0.1:{free_port()}"
    old = live_server(workers=workers, metrics_listen=metrics)
    with visited(old) as all_are_answered:
        all_are_answered()
        new = LiveServer.start(
            old.environment,
            port=port_of(old),
            log=tmp_path / "new.log",
            workers=workers,
            arguments=("--no-worker", "--overlap"),
        )
        started.append(new)
        wait_for("server_ready", new)
        assert "outbox_oldest_seconds" in figures(metrics)
        all_are_answered()
        old.process.send_signal(signal.SIGTERM)
        assert old.process.wait(40) == 0
        all_are_answered()
        assert JWKS in new.output()
        assert "outbox_oldest_seconds" in figures(metrics)
    # The one that is there now is as exclusive as the first one was.
    code, complaint = second(settings, port_of(old))
    assert (code, "in use" in complaint) == (1, True)


PROGRAM = """
import sys
from pathlib import Path
from idp.cli import main

if Path({broken!r}).exists():
    raise SystemExit("this release does not start")
main()
"""


def test_a_server_that_is_told_to_reload_is_followed_by_a_new_one(
    live_server: LiveServers,
    settings: Settings,
    started: list[LiveServer],
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    workers = 2 if pytestconfig.getoption("database") == "postgresql" else 1
    broken, address = tmp_path / "broken", str(short_dir() / "notify")
    model = live_server(workers=workers, metrics_listen=f"127.0.0.1:{free_port()}")
    assert model.stop() == 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        old = LiveServer.start(
            {**model.environment, "NOTIFY_SOCKET": address},
            port=port_of(model),
            log=tmp_path / "old.log",
            workers=workers,
            command=(sys.executable, "-c", PROGRAM.format(broken=str(broken))),
        )
        started.append(old)
        assert manager.recv(100) == b"MAINPID=%d\nREADY=1" % old.process.pid
        with visited(old) as all_are_answered:
            # A release that does not start changes nothing.
            broken.touch()
            old.process.send_signal(signal.SIGHUP)
            wait_for("successor_failed", old)
            assert "this release does not start" in old.output()
            all_are_answered()
            broken.unlink()
            last = old.process.pid
            for _ in range(2):
                os.kill(last, signal.SIGHUP)
                found = re.fullmatch(rb"MAINPID=([0-9]+)\nREADY=1", manager.recv(100))
                assert found
                assert int(found[1]) != last
                last = int(found[1])
                all_are_answered()
            assert old.process.wait(40) == 0
            all_are_answered()
        os.kill(last, signal.SIGTERM)
        end = time.monotonic() + 40
        while psutil.pid_exists(last):
            assert time.monotonic() < end
            time.sleep(0.05)
