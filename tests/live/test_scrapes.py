"""Scrapes of a server and of a worker, as processes of their own."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idp.platform.notify import service as notify
from idp.runtime import create as create_runtime
from tests.conftest import _migrate_and_seed, as_environment, make_settings
from tests.databases import create_database
from tests.servers import LiveServer, Postgres, clean_environment, free_port

pytestmark = pytest.mark.no_database

SECONDS = 30
A_SCRAPE_SECONDS = 1.0
READY = 'idp_requests_total{endpoint="/readyz",method="GET",status="200"}'
VALUES = {"service": "Acme", "code": "739145", "minutes": "5"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL of this test alone, with a database that is set up."""
    server = Postgres()
    server.start()
    create_database(server, "scraped")
    _migrate_and_seed(server.url("scraped"), tmp_path)
    yield server
    server.stop()


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")


def value(text: str, series: str) -> float | None:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def wait_for(port: int, series: str, expected: Callable[[float], bool]) -> str:
    """Scrape until a series has a value that is expected; return the scrape."""
    end = time.monotonic() + SECONDS
    text = ""
    while True:
        try:
            text = scrape(port)
        except OSError:
            pass
        else:
            found = value(text, series)
            if found is not None and expected(found):
                return text
        assert time.monotonic() < end, text
        time.sleep(0.1)


def test_a_scrape_is_answered_within_a_second_while_postgresql_is_frozen(
    cluster: Postgres, tmp_path: Path
) -> None:
    port, metrics_port = free_port(), free_port()
    settings = make_settings(
        tmp_path,
        public_url=f"http://127.0.0.1:{port}",
        database_url=cluster.url("scraped"),
        metrics_listen=f"127.0.0.1:{metrics_port}",
    )
    server = LiveServer.start(
        as_environment(settings), port=port, log=tmp_path / "server.log", command=None
    )
    try:
        wait_for(metrics_port, "idp_database_up", lambda up: up == 1)
        cluster.freeze()
        try:
            time.sleep(10.5)  # what was read before counts as fresh until then
            for _ in range(4):
                started = time.monotonic()
                text = scrape(metrics_port)
                assert time.monotonic() - started < A_SCRAPE_SECONDS
                assert value(
                    text, 'idp_requests_total{endpoint="/readyz",method="GET",status="200"}'
                )
            wait_for(metrics_port, "idp_database_up", lambda up: up == 0)
            assert value(scrape(metrics_port), 'idp_outbox_waiting{lane="notify"}') is None
        finally:
            cluster.thaw()
        wait_for(metrics_port, "idp_database_up", lambda up: up == 1)
        text = wait_for(metrics_port, 'idp_outbox_waiting{lane="notify"}', lambda _: True)
        assert value(text, "idp_loop_lag_seconds_count")
        assert value(text, "idp_worker_memory_bytes")
        assert value(text, 'idp_db_connections{pool="threads",state="idle"}') is not None
        assert value(text, 'idp_db_connections{pool="loop",state="busy"}') == 0
    finally:
        server.stop()


@pytest.mark.parametrize("is_beside", [False, True])
def test_jobs_and_chores_of_a_worker_are_shown(
    is_beside: bool, cluster: Postgres, tmp_path: Path
) -> None:
    port, metrics_port = free_port(), free_port()
    address = f"127.0.0.1:{metrics_port}"
    settings = make_settings(
        tmp_path,
        public_url=f"http://127.0.0.1:{port}",
        database_url=cluster.url("scraped"),
        metrics_listen=address if is_beside else "",
    )
    runtime = create_runtime(settings)
    with runtime.sessions() as session:
        notify.mail(session, "ann@example.com", "verification_code", VALUES, "en")
        session.commit()
    runtime.engine.dispose()
    log = tmp_path / "log"
    environment = as_environment(settings)
    if is_beside:
        process = LiveServer.start(environment, port=port, log=log, arguments=()).process
    else:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "idp.commands.worker", "--metrics-listen", address],
                env=clean_environment() | environment,
                stdout=output,
                stderr=output,
            )
    try:
        done = 'idp_jobs_total{name="notify.mail",outcome="done"}'
        text = wait_for(metrics_port, done, lambda count: count == 1)
        cleaned = value(text, 'idp_chore_last_success_timestamp_seconds{chore="cleanup"}')
        assert cleaned == pytest.approx(time.time(), abs=120)
        wait_for(metrics_port, "idp_database_up", lambda up: up == 1)
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert b"process_failed" not in log.read_bytes()


@pytest.mark.parametrize("how", ["taken", "nowhere"])
def test_a_worker_whose_metrics_address_cannot_be_had_does_not_start(
    how: str, cluster: Postgres, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, database_url=cluster.url("scraped"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = f"127.0.0.1:{port}" if how == "taken" else "nowhere.invalid:9100"
        done = subprocess.run(
            [sys.executable, "-m", "idp.cli", "worker", "--metrics-listen", address],
            env=clean_environment() | as_environment(settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    said = {"taken": f"{address} is in use; name another.", "nowhere": "there is no host of that"}
    assert done.stderr.startswith("Error: --metrics-listen: ")
    assert said[how] in done.stderr
    assert len(done.stderr.splitlines()) == 1
