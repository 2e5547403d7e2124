"""The worker that runs beside a server, seen from the server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import structlog
from pydantic import SecretStr

from idp.config import Settings

log = structlog.get_logger()

RESTART_SECONDS = 5
STOP_SECONDS = 30


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


def as_environment(settings: Settings) -> dict[str, str]:
    """Write settings as the variables that give them to another process."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {
        f"IDP_{name.upper()}": str(
            value.get_secret_value() if isinstance(value, SecretStr) else value
        )
        for name, value in values.items()
    }
