"""The outbox worker that runs beside a server, seen from the server."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import structlog
from pydantic import SecretStr

from idp.config import PREFIX, Settings
from idp.platform import metrics

log = structlog.get_logger()

RESTART_SECONDS = 5
STOP_SECONDS = 30


class OutboxWorker:
    """A worker in a process of its own, started again when it dies.

    It stops with this process however that ends: it reads a pipe that only we hold open.
    """

    def __init__(self, settings: Settings) -> None:
        self._environment = child_environment(settings)
        self._process = self._start()
        self._died_at: float | None = None

    @property
    def pid(self) -> int:
        """Process id of the worker that runs now."""
        return self._process.pid

    def look(self) -> None:
        """Start it again, a while after it died."""
        if self._process.poll() is None:
            return
        if self._died_at is None:
            self._died_at = time.monotonic()
            metrics.forget(self.pid)
            self.let_go()
            if self._process.returncode != 0:
                log.error("worker_died", exit_code=self._process.returncode)
        if time.monotonic() >= self._died_at + RESTART_SECONDS:
            self._died_at = None
            self._process = self._start()

    def let_go(self) -> None:
        """Close our end of the pipe, which asks the worker to finish what it is doing."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def stop(self) -> None:
        """Wait for the worker to end."""
        self.let_go()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "idp.commands.worker", "--beside"]
        return subprocess.Popen(  # noqa: S603 - our own command
            command, env=self._environment, stdin=subprocess.PIPE
        )


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a worker with these settings, which does not read files again."""
    others = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
    }
    return {**others, **as_environment(settings)}


def as_environment(settings: Settings) -> dict[str, str]:
    """Write settings as the variables that give them to another process."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {
        f"IDP_{name.upper()}": str(
            value.get_secret_value() if isinstance(value, SecretStr) else value
        )
        for name, value in values.items()
    }
