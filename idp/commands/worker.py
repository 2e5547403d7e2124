"""`idp worker`: the outbox, the clean-up and the rotation of keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial

import click
import structlog
from flask import Flask
from pydantic import SecretStr

from idp.app import create_app
from idp.config import Settings
from idp.directory.authentication.models import QrSignIn
from idp.directory.registration.models import VerificationCode
from idp.oauth.models import (
    AuthorizationCode,
    AuthorizationRequest,
    Consent,
    Grant,
    ReferenceToken,
    RefreshToken,
    RevokedToken,
)
from idp.platform.audit import service as audit
from idp.platform.jobs import cleanup
from idp.platform.jobs import worker as loops
from idp.platform.jobs.cleanup import Expiry
from idp.platform.jobs.models import OutboxMessage
from idp.platform.onetime.models import OneTimeKey
from idp.platform.runtime import Runtime
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing import service as signing
from idp.publishing.codegen.models import SdkJob
from idp.publishing.gateway import service as gateway

log = structlog.get_logger()

HOUR = 3600
DAY = 24 * HOUR
CHORE_SECONDS = 60
GATEWAY_SECONDS = 5
RESTART_SECONDS = 5
STOP_SECONDS = 30

EXPIRIES = (
    Expiry(AuthorizationRequest.expires_at, HOUR),
    # A code that comes back after its time is still known, so that its grant is revoked.
    Expiry(AuthorizationCode.expires_at, 7 * DAY),
    Expiry(RefreshToken.expires_at, DAY),
    Expiry(ReferenceToken.expires_at, HOUR),
    # Clocks differ: a verifier may take a token for a moment longer than it lives.
    Expiry(RevokedToken.expires_at, HOUR),
    Expiry(OneTimeKey.expires_at, HOUR),
    # Known for a day, because so many may be sent in one.
    Expiry(VerificationCode.sent_at, 2 * DAY),
    Expiry(QrSignIn.expires_at, HOUR),
    Expiry(Consent.expires_at, 0),
    Expiry(Grant.expires_at, DAY),
    Expiry(BrowserSession.expires_at, 7 * DAY),
    Expiry(BrowserSession.ended_at, 7 * DAY),
    Expiry(SdkJob.expires_at, 0),
    Expiry(OutboxMessage.done_at, 7 * DAY),
    Expiry(OutboxMessage.failed_at, 30 * DAY),
)
"""What goes when; the clean-up itself knows no tables."""


@click.command("worker")
@click.option("--beside", is_flag=True, hidden=True, help="Stop when standard input ends.")
def worker(*, beside: bool) -> None:
    """Send what the outbox holds, clean up, rotate keys; until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if beside:
        threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    runtime: Runtime = create_app().extensions["idp"]
    log.info("worker_started")
    loops.run(runtime, stop, chores=chores())
    runtime.engine.dispose()
    log.info("worker_stopped")


def chores() -> tuple[loops.Chore, ...]:
    """List what every worker does again and again besides the outbox."""
    return (
        loops.Chore("cleanup", CHORE_SECONDS, partial(cleanup.run, expiries=EXPIRIES)),
        loops.Chore("audit-retention", CHORE_SECONDS, forget_audit),
        loops.Chore("key-rotation", CHORE_SECONDS, rotate_keys),
        loops.Chore("gateway", GATEWAY_SECONDS, gateway.watch),
    )


def forget_audit(runtime: Runtime, stop: threading.Event) -> None:
    """Remove audit events older than `IDP_AUDIT_DAYS`, batch by batch."""
    removed = cleanup.BATCH
    while removed == cleanup.BATCH and not stop.is_set():
        with runtime.sessions() as session:
            removed = audit.remove_older_than(
                session, runtime.settings.audit_days, limit=cleanup.BATCH
            )
            session.commit()
        if removed == cleanup.BATCH:
            stop.wait(cleanup.PAUSE_SECONDS)


def rotate_keys(runtime: Runtime, _stop: threading.Event) -> None:
    """Replace signing keys that are older than `IDP_KEY_ROTATION_DAYS`."""
    with runtime.sessions() as session:
        signing.rotate_due(session)
        session.commit()


class Beside:
    """A worker in a process of its own, started again when it dies.

    It stops with this process however that ends: it reads a pipe that only we hold open.
    """

    def __init__(self, settings: Settings) -> None:
        self._environment = {**os.environ, **as_environment(settings)}
        self._stopping = threading.Event()
        self._process = self._start()
        self._watcher = threading.Thread(target=self._watch, name="worker beside", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """Process id of the worker that runs now."""
        return self._process.pid

    def stop(self) -> None:
        """Ask the worker to finish what it is doing, and wait for it."""
        self._stopping.set()
        self._watcher.join(RESTART_SECONDS + STOP_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "idp.commands.worker", "--beside"]
        return subprocess.Popen(  # noqa: S603 - our own command
            command, env=self._environment, stdin=subprocess.PIPE
        )

    def _watch(self) -> None:
        while not self._stopping.wait(1):
            if self._process.poll() is None:
                continue
            self._let_go()
            if self._process.returncode != 0:
                log.error("worker_died", exit_code=self._process.returncode)
            if self._stopping.wait(RESTART_SECONDS):
                break
            self._process = self._start()
        self._let_go()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _let_go(self) -> None:
        """Close our end of the pipe, which asks the worker to stop."""
        if self._process.stdin is not None:
            self._process.stdin.close()


def start_beside(app: Flask) -> Beside:
    """Start a worker with the settings of an application; call `stop` on it at the end."""
    runtime: Runtime = app.extensions["idp"]
    return Beside(runtime.settings)


def as_environment(settings: Settings) -> dict[str, str]:
    """Write settings as the variables that give them to another process."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {
        f"IDP_{name.upper()}": str(
            value.get_secret_value() if isinstance(value, SecretStr) else value
        )
        for name, value in values.items()
    }


def _watch_input(stop: threading.Event) -> None:
    # Not through sys.stdin: its lock would be held while the interpreter ends.
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    worker()
