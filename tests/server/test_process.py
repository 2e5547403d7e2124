"""The server: what it refuses to start with, how it stops, what runs beside it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil
import pytest
from click.testing import CliRunner

from idp.app import create_app, finish
from idp.cli import main
from idp.early_app import EXTENSION, create_front
from idp.platform import metrics
from idp.server import process as processes
from tests.conftest import SECRET_KEY, as_environment, changed, make_settings
from tests.nursery import COMMAND
from tests.servers import LiveServer, free_port


def serve(monkeypatch, *arguments, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"IDP_{name.upper()}", str(value))
    return CliRunner().invoke(main, ["serve", "--listen", "127.0.0.1:1", *arguments])


# Refusals, each with a sentence that says what to set.


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("variables", "arguments", "sentence"),
    [
        ({}, (), "IDP_SECRET_KEY"),
        ({"secret_key": "short"}, (), "IDP_SECRET_KEY"),
        ({"secret_key": SECRET_KEY, "public_url": "http://id.example"}, (), "IDP_PUBLIC_URL"),
        ({"secret_key": SECRET_KEY}, ("--workers", "2"), "IDP_DATABASE_URL"),
        (
            {"secret_key": SECRET_KEY, "database_url": "postgresql+psycopg://nowhere/x"},
            ("--workers", "2"),
            "IDP_REDIS_URL",
        ),
        ({"secret_key": SECRET_KEY, "trusted_proxies": "proxy"}, (), "IDP_TRUSTED_PROXIES"),
        ({"secret_key": SECRET_KEY, "metrics_listen": "9100"}, (), "IDP_METRICS_LISTEN"),
    ],
)
def test_what_cannot_be_served_with_is_refused(
    monkeypatch, tmp_path, variables, arguments, sentence
):
    (tmp_path / "secret_key").write_text("a development secret that lies about" * 2)
    result = serve(monkeypatch, *arguments, data_dir=tmp_path, **variables)
    assert result.exit_code == 2
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.no_database
def test_an_address_that_is_none_is_refused(monkeypatch, tmp_path):
    result = serve(
        monkeypatch, "--listen", "nonsense", data_dir=tmp_path, environment="development"
    )
    assert result.exit_code == 2
    assert "--listen" in result.output


# Over the wire.


def workers_of(server):
    """List the processes that answer requests."""
    found = []
    for child in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
            if child.status() != psutil.STATUS_ZOMBIE and "serve" in child.cmdline():
                found.append(child)
    return found


def many(pytestconfig):
    return 2 if pytestconfig.getoption("database") == "postgresql" else 1


def hammer(port, stop, outcomes):
    """Ask again and again on one connection, and on a new one when told to close it."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    count = 0
    while not stop.is_set():
        if connection.sock is None:
            try:
                connection.connect()
            except ConnectionRefusedError:
                break
        try:
            connection.request("GET", "/.well-known/openid-configuration/jwks")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            outcomes.append(repr(error))
            break
        if answer.status != 200:
            outcomes.append(answer.status)
        count += 1
    outcomes.append(("answered", count))
    connection.close()


@pytest.fixture
def live_server(live_server):
    """Start servers as the command line does."""
    return partial(live_server, command=COMMAND)


def test_no_request_is_lost_when_the_server_is_told_to_stop(live_server, pytestconfig):
    server = live_server(workers=many(pytestconfig))
    port = int(server.url.rpartition(":")[2])
    idle = socket.create_connection(("127.0.0.1", port))
    outcomes, stop = [], threading.Event()
    clients = [threading.Thread(target=hammer, args=(port, stop, outcomes)) for _ in range(6)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(30)
    stop.set()
    assert server.process.wait(30) == 0
    assert time.monotonic() - started < 15
    idle.close()
    lost = [outcome for outcome in outcomes if not isinstance(outcome, tuple)]
    assert lost == []
    assert all(count > 1 for _, count in outcomes)


def test_a_request_under_way_is_finished_and_the_connection_closed(live_server, session):
    server = live_server()
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            f"POST /connect/token HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 10\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\nabc".encode()
        )
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.6)
        assert server.process.poll() is None
        connection.sendall(b"=defghi")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 401
        assert answer.headers["Connection"] == "close"
    assert server.process.wait(30) == 0


def test_a_worker_that_dies_is_replaced(live_server, pytestconfig):
    server = live_server(workers=many(pytestconfig))
    victim = workers_of(server)[0]
    victim.kill()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        alive = [worker for worker in workers_of(server) if worker.pid != victim.pid]
        if len(alive) == many(pytestconfig) and server._ready():
            break
        time.sleep(0.1)
    assert len(alive) == many(pytestconfig)
    with urllib.request.urlopen(f"{server.url}/readyz") as answer:
        assert answer.status == 200


def test_a_server_told_to_stop_while_it_starts_stops_at_once(live_server):
    server = live_server()
    victim = workers_of(server)[0]
    victim.kill()
    end = time.monotonic() + 10
    while victim in workers_of(server) or not workers_of(server):
        assert time.monotonic() < end
        time.sleep(0.01)
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 8


class Served:
    """What serves until it is stopped."""

    def __init__(self):
        self._stopped = asyncio.Event()

    async def run(self, _listener, _ready):
        await self._stopped.wait()

    def stop(self):
        self._stopped.set()


@pytest.mark.no_database
def test_a_signal_before_the_loop_runs_is_not_forgotten(monkeypatch):
    loop = processes.new_loop()
    loop.close()

    class Signalled(type(loop)):
        def run_until_complete(self, main):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().run_until_complete(main)

    monkeypatch.setattr(processes, "new_loop", Signalled)
    pid = processes.fork(lambda: processes.serve(Served(), None, lambda: None))
    end = time.monotonic() + 10
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) in {0, -signal.SIGTERM}


def test_the_metrics_listener_adds_all_workers_up(live_server, pytestconfig):
    port = free_port()
    server = live_server(workers=many(pytestconfig), metrics_listen=f"127.0.0.1:{port}")
    asked = 40
    for _ in range(asked):
        urllib.request.urlopen(f"{server.url}/healthz").close()
    end = time.monotonic() + 10
    text = ""
    counted = f'endpoint="/healthz",method="GET",status="200"}} {asked}.0'
    while counted not in text or "idp_request_seconds_bucket" not in text:
        assert time.monotonic() < end, text  # workers hand on twice a second what they counted
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    assert "\noutbox_oldest_seconds 0.0" in text
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{server.url}/metrics")
    refusal.value.close()
    assert refusal.value.code == 404
    assert server.stop() == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2)


def test_an_outbox_worker_runs_beside_and_ends_with_the_server(live_server):
    server = live_server(arguments=())
    children = psutil.Process(server.process.pid).children(recursive=True)
    beside = [child for child in children if "idp.commands.worker" in child.cmdline()]
    assert len(beside) == 1
    assert server.stop() == 0
    assert not beside[0].is_running() or beside[0].status() == psutil.STATUS_ZOMBIE


def test_readiness_tells_what_is_missing(live_server, own_valkey):
    server = live_server(redis_url=own_valkey.url)

    def ready():
        with urllib.request.urlopen(f"{server.url}/readyz") as answer:
            return answer.status, answer.read()

    assert b'"status":"ready"' in ready()[1]
    own_valkey.kill()
    status, body = ready()
    assert status == 200
    assert b'"status":"degraded"' in body
    assert b'"redis":"down"' in body
    own_valkey.start()
    assert b'"status":"ready"' in ready()[1]


@pytest.mark.no_database
def test_machines_are_answered_before_pages_are_there(settings, session):
    app = create_front(settings)
    behind = app.extensions[EXTENSION]

    def ask(path):
        return app.test_client().get(path, base_url=settings.public_url)

    with ThreadPoolExecutor(2) as visitors:
        assert ask("/.well-known/openid-configuration/jwks").status_code == 200
        assert not behind.needed.is_set()
        asked = [visitors.submit(ask, path) for path in ("/login", "/readyz")]
        assert behind.needed.wait(10)
        assert ask("/.well-known/openid-configuration").get_json()["issuer"] == settings.public_url
        assert not any(answer.done() for answer in asked)
        finish(app, settings)
        assert [answer.result(10).status_code for answer in asked] == [200, 200]
    app.extensions["idp"].engine.dispose()


@pytest.mark.no_database
def test_a_worker_that_cannot_make_the_rest_ends(tmp_path, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError

    given = make_settings(tmp_path)
    app, codes = create_front(given), []
    app.extensions[EXTENSION].needed.set()
    monkeypatch.setattr("idp.app.finish", broken)
    monkeypatch.setattr(os, "_exit", codes.append)
    processes._finish(app, given)
    assert codes == [1]
    assert not app.extensions[EXTENSION].ready.is_set()
    app.extensions["idp"].engine.dispose()


@pytest.mark.no_database
def test_an_empty_database_is_not_ready(tmp_path):
    app = create_app(make_settings(tmp_path))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["checks"]["keys"] == "down"
    assert app.test_client().get("/healthz").status_code == 200
    app.extensions["idp"].engine.dispose()


def test_keys_that_do_not_open_are_not_ready(settings):
    app = create_app(changed(settings, secret_key=secrets.token_urlsafe(32)))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["checks"] == {"database": "up", "schema": "up", "keys": "down"}
    app.extensions["idp"].engine.dispose()


def test_a_name_may_be_listened_on(settings, tmp_path):
    port = free_port()
    served = changed(settings, public_url=f"http://127.0.0.1:{port}")
    arguments = ("--no-worker", "--listen", f"localhost:{port}")
    server = LiveServer.start(
        as_environment(served), port=port, log=tmp_path / "log", arguments=arguments
    )
    assert server.stop() == 0


@pytest.mark.no_database
def test_names_of_listeners_are_resolved():
    assert metrics.parse_address("localhost:9100") == ("127.0.0.1", 9100)
    assert metrics.parse_address("[::1]:9100") == ("::1", 9100)
    assert metrics.parse_address(":9100") == ("0.0.0.0", 9100)  # noqa: S104
    with pytest.raises(ValueError, match="no host of that name"):
        metrics.parse_address("a..b:9100")


def test_gunicorn_serves_the_same_application(settings, tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = as_environment(changed(settings, public_url=url))
    with (tmp_path / "gunicorn.log").open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "idp.wsgi:app", "--bind", f"127.0.0.1:{port}"),
                *("--threads", "4", "--no-control-socket"),
            ],
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
        )
    try:
        end = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"{url}/.well-known/openid-configuration") as answer:
                    assert answer.status == 200
                    break
            except OSError:
                assert time.monotonic() < end, (tmp_path / "gunicorn.log").read_text()
                assert process.poll() is None, (tmp_path / "gunicorn.log").read_text()
                time.sleep(0.1)
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(f"{url}/connect/token", data=b"a=b")
        refusal.value.close()
        assert refusal.value.code == 401
    finally:
        process.terminate()
        assert process.wait(30) == 0
