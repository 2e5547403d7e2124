"""Two PostgreSQL servers that Patroni manages, where `patroni` and `etcd` are found on the path."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.servers import (
    Postgres,
    ServerError,
    clean_environment,
    dies_with_us,
    free_port,
    short_dir,
)

START_SECONDS = 90.0
LEADER_SECONDS = 60.0
"""How long Patroni may take to make a standby the primary: its `ttl` is 20 seconds at least."""


def are_found() -> bool:
    """Return whether this machine has both programs."""
    return all(shutil.which(name) for name in ("patroni", "etcd"))


@dataclass
class Etcd:
    """One etcd, where members agree on who leads."""

    folder: Path = field(default_factory=short_dir)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        here = f"http://127.0.0.1:{self.port}"
        peers = f"http://127.0.0.1:{free_port()}"
        options = {
            "data-dir": str(self.folder / "data"),
            "listen-client-urls": here,
            "advertise-client-urls": here,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
        }
        self.process = _start(
            ["etcd", *(part for name, value in options.items() for part in (f"--{name}", value))],
            self.folder / "etcd.log",
        )
        _wait_for(lambda: _get(f"{here}/health") is not None, START_SECONDS, self.folder)

    def stop(self) -> None:
        """End it and remove its files."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def _own_address() -> str:
    """Return a loopback address: the port of both members is that of PostgreSQL."""
    return ".".join(["127", *(str(1 + secrets.randbelow(250)) for _ in range(3))])


@dataclass
class Member(Postgres):
    """A server of PostgreSQL with its Patroni."""

    etcd: Etcd = field(default_factory=Etcd)
    name: str = ""
    rest: int = field(default_factory=free_port)
    address: str = field(default_factory=_own_address)

    def start(self, primary: Postgres | None = None) -> None:
        """Start Patroni, which makes the server, or copies the one that leads."""
        programs, who = self.prepare()
        assert self.data is not None
        self.data.chmod(0o700)
        configuration = self.folder / f"{self.name}.json"  # which YAML can read
        configuration.write_text(json.dumps(self._configuration(programs)))
        configuration.chmod(0o644)
        self.process = _start(
            ["patroni", str(configuration)],
            self.folder / "patroni.log",
            programs=str(programs),
            **who,
        )
        _wait_for(self._is_ready, START_SECONDS, self.folder)

    def shut_down(self) -> None:
        """Leave stopping to Patroni, which changes the places of both."""
        raise NotImplementedError

    def kill(self) -> None:
        """End the server and its Patroni as a host that loses power."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        assert self.process is not None
        self.process.wait(10)

    def leads(self) -> bool:
        """Return whether it accepts writes."""
        try:
            with psycopg.connect(self.maintenance, connect_timeout=2) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        except psycopg.OperationalError:
            return False
        return row == (False,)

    def wait_to_lead(self) -> float:
        """Wait until Patroni made it the primary; return when that was."""
        _wait_for(self.leads, LEADER_SECONDS, self.folder)
        return time.monotonic()

    def hand_over(self, to: Member) -> None:
        """Ask Patroni to change the places of both."""
        body = json.dumps({"leader": self.name, "candidate": to.name}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest}/switchover", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200, answer.read()

    def _is_ready(self) -> bool:
        found = _get(f"http://127.0.0.1:{self.rest}/patroni")
        return found is not None and found.get("state") in {"running", "streaming"}

    def _processes(self) -> list[psutil.Process]:
        assert self.process is not None
        assert self.data is not None
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(self.process.pid))
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            found.append(psutil.Process(pid))
        return [*found, *(child for one in found for child in one.children(recursive=True))]

    def _configuration(self, programs: Path) -> dict[str, Any]:
        trusted = ["local all all trust", "local replication all trust"]
        trusted += [f"host {kind} all 127.0.0.0/8 trust" for kind in ("all", "replication")]
        return {
            "scope": "rehearsal",
            "name": self.name,
            "etcd3": {"host": f"127.0.0.1:{self.etcd.port}"},
            "restapi": {
                "listen": f"127.0.0.1:{self.rest}",
                "connect_address": f"127.0.0.1:{self.rest}",
            },
            "bootstrap": {
                "dcs": {
                    "ttl": 20,
                    "loop_wait": 2,
                    "retry_timeout": 3,
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": False, "use_slots": False},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}],
            },
            "postgresql": {
                "listen": f"{self.address}:5432",
                "connect_address": f"{self.address}:5432",
                "data_dir": str(self.data),
                "bin_dir": str(programs),
                "pgpass": str(self.folder / "pgpass"),
                "use_unix_socket": True,
                "use_unix_socket_repl": True,
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "postgres"},
                },
                "pg_hba": trusted,
                "remove_data_directory_on_diverged_timelines": True,
                "basebackup": [{"checkpoint": "fast"}],
                "parameters": {
                    "unix_socket_directories": str(self.folder),
                    "unix_socket_permissions": "0777",
                    "max_connections": 200,
                },
            },
        }


def _start(
    command: list[str],
    log: Path,
    *,
    programs: str = "",
    **who: Any,
) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (programs, os.environ.get("PATH", ""))))
    program = shutil.which(command[0])
    if program is None:
        raise ServerError(f"{command[0]} is not installed")
    with log.open("ab") as output:
        return subprocess.Popen(
            [program, *command[1:]],
            env={**clean_environment(), "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGTERM),  # noqa: PLW1509 - one prctl, no lock
            **who,
        )


def _get(address: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except (OSError, ValueError):
        return None


def _wait_for(holds: Any, seconds: float, folder: Path) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            logs = (path.read_text(errors="replace")[-3000:] for path in folder.glob("*.log"))
            raise ServerError("waited too long:\n" + "\n".join(logs))
        time.sleep(0.05)
