"""A crowd, or hosts that keep us waiting, in front of a server of one worker process."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from html import unescape

import pytest

from idp.platform import fetch
from idp.runtime import THREADS
from idp.runtime import create as create_runtime
from tests import protocol
from tests.attacks.forging import unsigned
from tests.conftest import Run, as_environment, make_settings
from tests.databases import create_database, drop_database
from tests.live.site import FORM_TOKEN, Answer, Site
from tests.servers import LiveServer, Valkey, free_port

pytestmark = pytest.mark.no_database

SIGN_INS = 200
CLIENTS = THREADS
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Silent:
    """Takes every connection and says nothing."""

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    taken: list[socket.socket] = field(default_factory=list)
    enough: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.listener.accept()[0])
                self.enough.release()

    def close(self) -> None:
        """Hang up."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.taken:
            connection.close()


@pytest.fixture(scope="module")
def silent() -> Iterator[Silent]:
    """Run a server that says nothing."""
    server = Silent()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.close()
    thread.join()


@pytest.fixture(scope="module")
def own_url(run: Run) -> Iterator[str]:
    """Return a migrated and seeded PostgreSQL database of these tests alone."""
    name = f"busy_{secrets.token_hex(6)}"
    server = run.postgres_server()
    create_database(server, name, run.postgresql_template())
    yield server.url(name)
    drop_database(server, name)


@pytest.fixture(scope="module")
def lone(own_url: str, silent: Silent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run `idp serve` with one worker process."""
    folder, port, valkey = tmp_path_factory.mktemp("lone"), free_port(), Valkey()
    valkey.start()
    settings = make_settings(
        folder,
        public_url=f"http://127.0.0.1:{port}",
        database_url=own_url,
        redis_url=valkey.url,
        fetch_allow=silent.host,
        trusted_proxies="127.0.0.1",
    )
    runtime = create_runtime(settings)
    server = LiveServer.start(as_environment(settings), port=port, log=folder / "server.log")
    try:
        yield Site(server, runtime, valkey, metrics="")
    finally:
        server.stop()
        runtime.engine.dispose()
        valkey.stop()


def others_are_served(site: Site, app: protocol.App) -> None:
    """Ask what load balancers and machines ask."""
    for path in ("/healthz", "/readyz"):
        assert site.ask("GET", path).status == 200
    assert site.machine_token(app).status == 200


def start(
    pool: ThreadPoolExecutor, number: int, ask: Callable[[int], Answer]
) -> list[Future[Answer]]:
    """Have so many requests sent at the same moment."""
    gate = threading.Barrier(number)

    def wait_and_ask(index: int) -> Answer:
        gate.wait(30)
        return ask(index)

    return [pool.submit(wait_and_ask, index) for index in range(number)]


def test_clients_whose_keys_do_not_come_hold_up_nobody_else(lone: Site, silent: Silent) -> None:
    app = lone.machine()
    clients = [
        lone.machine(
            token_endpoint_auth_method="private_key_jwt",
            jwks_uri=f"http://{silent.host}/{number}",
        )
        for number in range(CLIENTS)
    ]

    def ask(index: int) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": unsigned({"alg": "none"}, {"sub": clients[index].client_id}),
        }
        return lone.ask("POST", "/connect/token", form)

    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = start(pool, CLIENTS, ask)
        for _ in range(fetch.JSON_WAITERS):
            assert silent.enough.acquire(timeout=30)
        others_are_served(lone, app)
        waiting = [answer for answer in asked if not answer.done()]
        answers = [answer.result() for answer in asked]
    assert len(waiting) >= 1
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) == CLIENTS - fetch.JSON_WAITERS
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert {answer.json()["error"] for answer in refused} == {"temporarily_unavailable"}
    # Those that waited learn that nothing proved who they are, and are not waited for again.
    assert [answer.status for answer in answers if answer not in refused] == [
        401
    ] * fetch.JSON_WAITERS
    assert len(silent.taken) == fetch.JSON_WAITERS


def test_a_crowd_that_signs_in_holds_up_nobody_else(lone: Site) -> None:
    app, user = lone.machine(), lone.person()
    page = lone.ask("GET", "/login")
    token = FORM_TOKEN.search(page.body.decode())
    assert token
    cookie = page.headers["set-cookie"].partition(";")[0]

    def ask(index: int) -> Answer:
        # Each from a line of its own, half of them with the right name and password.
        login = user.username if index % 2 else f"nobody-{index}"
        form = {
            "csrf_token": unescape(token[1]),
            "login": login,
            "password": protocol.PASSWORD,
        }
        headers = {"Cookie": cookie, "X-Forwarded-For": f"2001:db8:1:{index:x}::1"}
        return lone.ask("POST", "/login", form, headers)

    with ThreadPoolExecutor(SIGN_INS) as pool:
        asked = start(pool, SIGN_INS, ask)
        wait(asked, return_when="FIRST_COMPLETED")
        others_are_served(lone, app)
        meanwhile = sum(not answer.done() for answer in asked)
        answers = [answer.result() for answer in asked]
    assert meanwhile > 0
    statuses = {answer.status for answer in answers}
    assert statuses <= {200, 303, 400, 429, 503}
    assert {303, 503} <= statuses
    for answer in answers:
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) > 0
            assert b"Too many people are signing in" in answer.body
    assert lone.sign_in(user).status == 303
