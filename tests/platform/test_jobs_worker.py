"""The worker as a process: it stops when told, dies without losing work, and is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp.commands import worker as command
from idp.config import Settings
from idp.platform import clock as time_of
from idp.platform.jobs.models import OutboxMessage
from idp.platform.notify import service as notify
from idp.platform.runtime import Runtime
from idp.server import outbox_worker as neighbour
from tests.delivery import deliver_due
from tests.servers import clean_environment, free_port

VALUES = {"service": "Acme", "code": "739145", "minutes": "5"}


class SlowInbox:
    """A mail server that keeps its answer to the first mails back until it is let go."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.let_go = threading.Event()
        self.ids: list[str] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        lines = envelope.content.decode().splitlines()
        self.ids += [line for line in lines if line.startswith("Message-ID:")]
        self.requested.set()
        while not self.let_go.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.02)
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[SlowInbox]:
    inbox = SlowInbox()
    yield inbox
    inbox.let_go.set()


@pytest.fixture
def smtp_url(inbox: SlowInbox) -> Iterator[str]:
    port = free_port()
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    yield f"smtp://127.0.0.1:{port}"
    inbox.let_go.set()
    server.stop()


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start worker processes, and end those that are left."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **fields: Any) -> subprocess.Popen[bytes]:
        given = settings.model_copy(update=fields)
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "idp.commands.worker", *arguments],
                env=clean_environment() | neighbour.as_environment(given),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def leave(session: Session) -> None:
    notify.mail(session, "ann@example.com", "verification_code", VALUES, "en")
    session.commit()


def open_messages(session: Session) -> int:
    session.rollback()
    found = session.scalars(select(OutboxMessage.id).where(OutboxMessage.done_at.is_(None))).all()
    session.rollback()
    return len(found)


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_killed_workers_mail_is_sent_by_the_next_one_under_the_same_id(
    runtime: Runtime,
    session: Session,
    start: Callable[..., subprocess.Popen[bytes]],
    inbox: SlowInbox,
    smtp_url: str,
) -> None:
    leave(session)
    process = start(smtp_url=smtp_url)
    assert inbox.requested.wait(30)
    process.send_signal(signal.SIGKILL)
    process.wait()
    inbox.let_go.set()
    # The mail was taken, perhaps, and nobody knows: at least once.
    assert len(inbox.ids) == 1
    assert open_messages(session) == 1
    runtime.settings = runtime.settings.model_copy(update={"smtp_url": smtp_url})
    assert deliver_due(runtime) == 0
    session.execute(update(OutboxMessage).values(due_at=time_of.now()))  # the lease is over
    session.commit()
    assert deliver_due(runtime) == 1
    assert open_messages(session) == 0
    assert len(inbox.ids) == 2
    assert len(set(inbox.ids)) == 1


@pytest.mark.no_database
def test_a_worker_finishes_what_it_is_doing_when_it_is_asked_to_stop(
    session: Session,
    start: Callable[..., subprocess.Popen[bytes]],
    inbox: SlowInbox,
    smtp_url: str,
) -> None:
    leave(session)
    leave(session)
    process = start(smtp_url=smtp_url)
    assert inbox.requested.wait(30)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    inbox.let_go.set()
    assert process.wait(20) == 0
    assert len(inbox.ids) == 1
    assert open_messages(session) == 1


@pytest.mark.no_database
def test_a_worker_beside_stops_with_its_parent(
    session: Session, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = start("--beside")
    leave(session)
    wait_until(lambda: open_messages(session) == 0)
    assert process.stdin
    process.stdin.close()
    assert process.wait(20) == 0
    log = (tmp_path / "worker.log").read_text()
    assert "worker_started" in log
    assert "worker_stopped" in log
    assert VALUES["code"] not in log


@pytest.mark.no_database
def test_a_worker_beside_that_dies_is_replaced(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbour, "RESTART_SECONDS", 0.1)
    beside = neighbour.OutboxWorker(app.extensions["idp"].settings)

    def is_another() -> bool:
        beside.look()
        return beside.pid != first

    try:
        first = beside.pid
        os.kill(first, signal.SIGKILL)
        wait_until(is_another)
        leave(session)
        wait_until(lambda: open_messages(session) == 0)
        last = beside.pid
    finally:
        beside.stop()
    assert not psutil.pid_exists(last)
    assert not psutil.pid_exists(first)


@pytest.mark.no_database
def test_a_child_gets_exactly_our_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(
        environment="development",
        data_dir=tmp_path,
        secret_key="x" * 40 + "," + "y" * 40,
        smtp_url="smtp://user:p%40ss@127.0.0.1:25",
        demo=True,
        audit_days=7,
    )
    for name, value in neighbour.as_environment(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


@pytest.mark.no_database
def test_a_child_has_the_values_of_files_and_does_not_read_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "root"
    path.write_text("x" * 40)
    monkeypatch.setenv("IDP_ENVIRONMENT", "development")
    monkeypatch.setenv("idp_secret_key_file", str(path))
    given = Settings()
    path.unlink()
    child = neighbour.child_environment(given)
    assert {name: os.environ[name] for name in ("PATH", "HOME")}.items() <= child.items()
    monkeypatch.delenv("idp_secret_key_file")
    for name, value in child.items():
        monkeypatch.setenv(name, value)
    assert Settings() == given
    assert not [name for name in child if name.upper().endswith("_FILE") and "IDP" in name.upper()]


@pytest.mark.no_database
def test_the_command_explains_itself() -> None:
    answer = CliRunner().invoke(command.worker, ["--help"])
    assert answer.exit_code == 0
    assert "Deliver messages" in answer.output
    assert "--beside" not in answer.output
