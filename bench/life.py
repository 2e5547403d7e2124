"""The life of a server: how soon it answers, and what memory its workers hold."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from bench import load, site
from bench.cases import JWKS
from bench.load import Request
from bench.measure import Figure, Result, at_most
from bench.servers import Servers
from bench.targets import Server
from tests.conftest import create_database
from tests.servers import clean_environment, free_port

ROUNDS = 5
REQUESTS = 200_000
WARM = 20_000
MIB = 2**20


def start(servers: Servers) -> list[Result]:
    """Time from the command to the first answer that needs the database, with one worker."""
    small, port = servers.small, free_port()
    environment = {**clean_environment(), **small.environment}
    environment["IDP_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    del environment["IDP_REDIS_URL"]  # one worker needs none, nor does the bare one have it
    ours = [sys.executable, "-c", "from idp.cli import main; main()", "serve", "--no-worker"]
    create_database(servers.postgres, "bare")
    bare = [sys.executable, "-m", "bench.yardsticks.bare", "sqlalchemy", str(port), "1"]
    commands = {
        "ours": ([*ours, "--listen", f"127.0.0.1:{port}"], "/.well-known/openid-configuration"),
        "bare Flask + SQLAlchemy": ([*bare, servers.postgres.url("bare")], "/"),
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(servers.plan.count(ROUNDS) + 1):
        for name, (command, path) in commands.items():
            seconds = _seconds_to_answer(command, environment, port, path)
            if round_:  # the first one compiles
                taken[name].append(seconds * 1000)
    figures = {f"start to first answer, {name}, ms": Figure(v) for name, v in taken.items()}
    mine, theirs = (figure.median for figure in figures.values())
    return [Result(figures, [at_most("start to first answer ÷ bare", mine / theirs, 1.2)])]


def _seconds_to_answer(
    command: list[str], environment: dict[str, str], port: int, path: str
) -> float:
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parent.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                load.once(f"http://127.0.0.1:{port}", Request("GET", path)).expect(200)
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError(f"{command}: did not start") from None
                time.sleep(0.005)
            else:
                return time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(40)


def memory(servers: Servers) -> list[Result]:
    """Memory of a worker: idle, after warming up, after 200,000 requests.

    Pages that processes share count in part for each (PSS): the workers are forked from one that
    has everything imported. Resident memory, which counts them in full for each, stands beside.
    """
    server = servers.serve(site.moved(servers.small), "ours, memory")
    figures = {"memory of a worker, idle, MiB": Figure(_held(server))}
    _send(server, WARM)
    warm = _held(server)
    _send(server, REQUESTS)
    after = _held(server)
    figures["memory of a worker, warm, MiB"] = Figure(warm)
    figures["memory of a worker, after 200,000 requests, MiB"] = Figure(after)
    figures["memory of a worker, resident then, MiB"] = Figure(
        [worker.memory_info().rss / MIB for worker in _workers(server)]
    )
    server.stop()
    bars = [
        at_most("memory of a worker after the run, MiB", max(after), 90),
        at_most("memory after the run ÷ after warming up", sum(after) / sum(warm), 1.05),
    ]
    return [Result(figures, bars)]


def _workers(server: Server) -> list[psutil.Process]:
    return [child for child in server.process.children() if "serve" in child.cmdline()]


def _held(server: Server) -> list[float]:
    return [worker.memory_full_info().pss / MIB for worker in _workers(server)]


def _send(server: Server, count: int) -> None:
    """Send requests of every kind, most of them for tokens."""
    form = {"grant_type": "client_credentials", "scope": "fast.read"}
    token = server.by_client("machine-es256", **form)
    left = count
    while left > 0:
        for request in (token, token, token, Request("GET", JWKS), Request("GET", "/login")):
            left -= load.send(server.url, request, 1).units
