"""An installation to be struck: a primary and its standby, Valkey, a mail server, three nodes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from aiosmtpd.controller import Controller

from tests.conftest import as_environment, make_settings
from tests.databases import create_database
from tests.rehearsal import load, prepare
from tests.rehearsal.load import Fleet, Ledger, Load
from tests.rehearsal.patroni import Etcd, Member
from tests.servers import LiveServer, Postgres, Valkey, clean_environment, free_port

ROOT = Path(__file__).parent.parent.parent
NAME = "rehearsal"
COUNTS = {"machines": 4, "visitor": 4, "guest": 6, "changer": 24, "bystander": 1}
PYTHON = (sys.executable, "-c", "from idp.cli import main; main()")
WAIT_SECONDS = 15.0


class Mailbox:
    """Counts the mails for each address, and keeps the worker waiting for a moment."""

    def __init__(self) -> None:
        self.mails: dict[str, int] = {}
        self.arriving = threading.Event()
        self.pause_seconds = 0.0

    def counts(self) -> Counter[str]:
        """Return how many mails each address got."""
        return Counter(self.mails)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail, as aiosmtpd calls it."""
        self.arriving.set()
        await asyncio.sleep(self.pause_seconds)
        for address in envelope.rcpt_tos:
            self.mails[address] = self.mails.get(address, 0) + 1
        return "250 OK"


@dataclass
class Node:
    """A server of the service, of this release or of another one."""

    port: int
    environment: Mapping[str, str]
    log: Path
    folder: Path = ROOT
    arguments: tuple[str, ...] = PYTHON
    server: LiveServer | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.server = LiveServer.start(
            self.environment,
            port=self.port,
            log=self.log,
            command=self.arguments,
            folder=self.folder,
        )

    def stop(self) -> None:
        """Stop it as an operator would."""
        if self.server is not None:
            self.server.stop()

    def kill(self) -> None:
        """End all of its processes as a host that loses power."""
        assert self.server is not None
        os.killpg(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait(10)


@dataclass
class Stage:
    """Everything that belongs to an installation."""

    folder: Path
    hosts: tuple[Postgres, Postgres]
    primary: Postgres
    valkey: Valkey
    mailbox: Mailbox
    environment: dict[str, str]
    fleet: Fleet
    nodes: list[Node] = field(default_factory=list)
    load: Load = field(init=False)
    worker: subprocess.Popen[bytes] | None = None
    calm_seconds: float = 0.0
    """The slowest answer while nothing happened."""

    @property
    def standby(self) -> Postgres:
        """The one of the two that is not the primary."""
        return self.hosts[1] if self.primary is self.hosts[0] else self.hosts[0]

    @property
    def where(self) -> str:
        """How an operator reaches the database."""
        return f"host={self.primary.folder} user=postgres dbname={NAME}"

    def node(self, *, folder: Path = ROOT, **changes: str) -> Node:
        """Make another node, which is not started yet."""
        port = self.fleet.ports[len(self.nodes)] if len(self.nodes) < 3 else free_port()
        name = f"node-{len(self.nodes) + 1}"
        environment = self.environment | {"IDP_DATA_DIR": str(self.folder / name)} | changes
        made = Node(port, environment, self.folder / f"{name}.log", folder)
        self.nodes.append(made)
        return made

    def run(
        self, *arguments: str, folder: Path = ROOT, program: tuple[str, ...] = PYTHON
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of a release."""
        return subprocess.run(
            [*program, *arguments],
            env=clean_environment() | self.environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def prepare(self, folder: Path = ROOT) -> dict[str, Any]:
        """Make clients and people by the code of a release."""
        source = Path(prepare.__file__).read_text(encoding="utf-8")
        made = self.run(
            self.fleet.host,
            json.dumps(COUNTS),
            folder=folder,
            program=(sys.executable, "-c", source),
        )
        assert made.returncode == 0, made.stderr
        values: dict[str, Any] = json.loads(made.stdout)
        self.load = Load(self.fleet, Ledger(), load.visitors(values))
        return values

    def start_worker(self) -> None:
        """Start what delivers mails."""
        with (self.folder / "worker.log").open("ab") as output:
            self.worker = subprocess.Popen(
                [*PYTHON, "worker"],
                env=clean_environment() | self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    # What happens to the database

    def synchronise(self) -> None:
        """Have the primary wait for the standby at each commit, from when the standby is there."""
        with operator(self.primary) as session:
            session.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            session.execute("SELECT pg_reload_conf()")
            query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            wait_until(lambda: session.execute(query).fetchone() == (1,))

    def switch_over(self) -> float:
        """Have primary and standby change their places; return when the new primary was one."""
        before = self.primary
        before.shut_down()
        moment = self.promote()
        before.follow(self.primary)
        self.synchronise()
        return moment

    def promote(self) -> float:
        """Make the standby the primary; return when it was one."""
        with operator(self.standby) as session:
            session.execute("ALTER SYSTEM RESET synchronous_standby_names")
            session.execute("SELECT pg_reload_conf()")
            session.execute("SELECT pg_promote()")
        self.primary = self.standby
        return time.monotonic()

    def took_none(self, old: Postgres, since: datetime) -> bool:
        """Return whether a primary that was replaced took no write after a moment."""
        with operator(old, NAME) as session:
            query = "SELECT count(*) FROM audit_event WHERE at > %s"
            return session.execute(query, [since]).fetchone() == (0,)

    def renew_standby(self) -> None:
        """Copy the primary to where the other one was, and follow it from there."""
        old = self.standby
        new = self._another(old)
        assert old.data is not None
        shutil.rmtree(old.data, ignore_errors=True)
        new.start(self.primary)
        self.hosts = (new, self.primary) if old is self.hosts[0] else (self.primary, new)
        self.synchronise()

    def _another(self, old: Postgres) -> Postgres:
        """Return a server at the place of one that is gone."""
        return Postgres(folder=old.folder, durable=True)

    def end(self) -> None:
        """Stop nodes, worker and databases."""
        for node in self.nodes:
            node.stop()
        if self.worker is not None and self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait(10)
        for server in self.hosts:
            server.end()

    def log_text(self) -> str:
        """Return what all nodes wrote."""
        logs = [node.log for node in self.nodes if node.log.exists()]
        return "".join(log.read_text(errors="replace") for log in logs)


def operator(server: Postgres, name: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
    """Open a session of an operator."""
    return psycopg.connect(f"host={server.folder} user=postgres dbname={name}", autocommit=True)


def wait_until(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class ManagedStage(Stage):
    """An installation whose database is managed by Patroni."""

    def synchronise(self) -> None:
        """Wait until the primary waits for the standby at each commit."""
        query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        with operator(self.primary) as session:
            wait_until(lambda: session.execute(query).fetchone() == (1,), 60)

    def switch_over(self) -> float:
        """Have Patroni change the places of primary and standby."""
        before = self.primary
        assert isinstance(before, Member)
        assert isinstance(self.standby, Member)
        before.hand_over(self.standby)
        moment = self.promote()
        self.synchronise()
        return moment

    def promote(self) -> float:
        """Wait until Patroni makes the standby the primary; return when it was one."""
        assert isinstance(self.standby, Member)
        moment = self.standby.wait_to_lead()
        self.primary = self.standby
        return moment

    def took_none(self, old: Postgres, since: datetime) -> bool:
        """Return whether Patroni ends the rule of a primary that was replaced.

        It stops the server as soon as it runs again and copies the new primary over it, so there
        are no rows to ask for: what it acknowledged would be missing there.
        """
        assert isinstance(old, Member)
        end = time.monotonic() + WAIT_SECONDS
        while leads := old.leads():
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        return not leads

    def _another(self, old: Postgres) -> Postgres:
        assert isinstance(old, Member)
        return Member(folder=old.folder, durable=True, etcd=old.etcd, name=old.name)


@contextmanager
def stage(*, is_managed: bool = False, is_alone: bool = False) -> Iterator[Stage]:
    """Start databases, Valkey and a mail server; nodes are started by who needs them."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="idp-rehearsal-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        hosts = _managed(stack) if is_managed else (Postgres(durable=True), Postgres(durable=True))
        for server in hosts:
            stack.callback(server.end)
        hosts[0].start()
        create_database(hosts[0], NAME)
        valkey, mailbox = Valkey(), Mailbox()
        stack.callback(valkey.stop)
        valkey.start()
        smtp = Controller(mailbox, hostname="127.0.0.1", port=free_port())
        smtp.start()
        stack.callback(smtp.stop)
        ports = [free_port() for _ in range(3)]
        settings = make_settings(
            folder,
            environment="production",
            public_url=f"http://127.0.0.1:{ports[0]}",
            database_url=hosts[0].url(NAME) + ("" if is_alone else f"&host={hosts[1].folder}"),
            redis_url=valkey.url,
            smtp_url=f"smtp://127.0.0.1:{smtp.port}",
            mail_from="no-reply@login.example",
        )
        fleet = Fleet(f"127.0.0.1:{ports[0]}", ports)
        kind = ManagedStage if is_managed else Stage
        made = kind(folder, hosts, hosts[0], valkey, mailbox, as_environment(settings), fleet)
        stack.callback(made.end)
        yield made


def _managed(stack: ExitStack) -> tuple[Member, Member]:
    etcd = Etcd()
    stack.callback(etcd.stop)
    etcd.start()
    return Member(durable=True, etcd=etcd, name="a"), Member(durable=True, etcd=etcd, name="b")
