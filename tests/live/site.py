"""An installation as in production: two workers, PostgreSQL, Valkey, a mail server, metrics."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import psutil
import redis
from sqlalchemy.orm import Session

from idp.directory.users.models import User
from idp.oauth import refresh_rules
from idp.platform.runtime import Runtime
from idp.runtime import create as create_runtime
from tests import protocol
from tests.conftest import Run, as_environment, make_settings
from tests.databases import create_database, drop_database
from tests.protocol import App
from tests.servers import LiveServer, Valkey, free_port

T = TypeVar("T")

Form = Mapping[str, str] | None

FREE_TRIES = 5
"""Wrong passwords for one account from one address that cost no wait."""
OFFLINE = "openid offline_access"
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
FORM_TOKEN = re.compile(r'name="csrf_token"\s+value="([^"]+)"')


@dataclass(frozen=True)
class Answer:
    """What came back over one connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Read the body."""
        content: dict[str, Any] = json.loads(self.body)
        return content


class Line:
    """One connection that stays open between requests, and is never opened again by itself."""

    def __init__(self, host: str, timeout: float = 30) -> None:
        self._connection = http.client.HTTPConnection(host, timeout=timeout)
        self._connection.connect()
        self._connection.auto_open = 0

    @property
    def port(self) -> int:
        """Number of our end."""
        port: int = self._connection.sock.getsockname()[1]
        return port

    def ask(self, method: str, path: str, form: Form = None, headers: Form = None) -> Answer:
        """Send a request and read the whole answer."""
        body = None if form is None else urlencode(form)
        kind = FORM_TYPE if form is not None else {}
        return self.send(method, path, body, {**kind, **(headers or {})})

    def send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """Send a request with a body of any kind."""
        self._connection.request(method, path, body, headers)
        with self._connection.getresponse() as response:
            content = response.read()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, content)

    def submit(self, path: str, form: Mapping[str, str]) -> Answer:
        """Open a page with a browser that was never here, fill its form in and send it."""
        page = self.ask("GET", path)
        token = FORM_TOKEN.search(page.body.decode())
        assert token, page
        cookie = page.headers["set-cookie"].partition(";")[0]
        return self.ask(
            "POST", path, {"csrf_token": unescape(token[1]), **form}, {"Cookie": cookie}
        )

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Site:
    """A running installation, and ways into its database and its processes."""

    server: LiveServer
    runtime: Runtime
    valkey: Valkey
    metrics: str
    mails: list[Any] = field(default_factory=list)
    _numbers: int = 0

    @property
    def url(self) -> str:
        """Address of issuer 1."""
        return self.server.url

    @property
    def host(self) -> str:
        """Host and port of issuer 1."""
        return urlsplit(self.url).netloc

    def sessions(self) -> Session:
        """Open a session on the server's database, as another process would."""
        return self.runtime.sessions()

    def restart(self) -> int:
        """Stop the server as an operator would and start it again; return the exit code."""
        code = self.server.stop()
        self.start()
        return code

    def start(self) -> None:
        """Start the server where it was before."""
        port = urlsplit(self.url).port
        assert port is not None
        self.server = LiveServer.start(
            self.server.environment,
            port=port,
            log=self.server.log,
            workers=2,
            arguments=(),
            command=None,
        )

    def worker_pids(self) -> list[int]:
        """Name the processes that serve requests now."""
        lines = map(json.loads, filter(_is_start, self.server.output().splitlines()))
        newest = {
            line["worker"]: line["pid"]
            for line in lines
            if line["server"] == self.server.process.pid
        }
        return [pid for pid in newest.values() if psutil.pid_exists(pid)]

    def line(self) -> Line:
        """Open a connection."""
        return Line(self.host)

    def line_per_worker(self) -> list[Line]:
        """Open connections until each worker holds one."""
        wanted = set(self.worker_pids())
        found: dict[int, Line] = {}
        spare: list[Line] = []
        assert len(wanted) == 2
        while wanted - found.keys():
            line = self.line()
            assert line.ask("GET", "/healthz").status == 200
            holder = next(pid for pid in wanted if line.port in _remote_ports(pid))
            if holder in found:
                spare.append(line)
            else:
                found[holder] = line
            assert len(spare) < 500, "one worker gets every connection"
        for line in spare:
            line.close()
        return list(found.values())

    # People and clients

    def name(self, prefix: str) -> str:
        """Make up a name that is not taken."""
        self._numbers += 1
        return f"{prefix}-{self._numbers}"

    def machine(self, **settings: Any) -> App:
        """Register a client that asks for itself."""
        name = self.name("machine")
        with self.sessions() as session:
            api = protocol.add_api(session, f"api-of-{name}", (f"{name}.read",))
            scopes = protocol.scope_names(session, api.name)
            return protocol.register_machine(session, name, scopes, **settings)

    def web(self, **settings: Any) -> App:
        """Register a client that people sign in to."""
        with self.sessions() as session:
            return protocol.register(session, self.name("web"), **settings)

    def person(self, **columns: Any) -> User:
        """Add a person."""
        with self.sessions() as session:
            return protocol.add_person(session, self.name("person"), **columns)

    def code(self, app: App, user: User) -> str:
        """Sign a person in past the sign-in page, and get a code for a client."""
        query = urlencode(protocol.authorization_parameters(app, scope=OFFLINE))
        answer = self.ask("GET", f"/connect/authorize?{query}", headers=self.cookie(user))
        assert answer.status == 303, answer
        fields = parse_qs(urlsplit(answer.headers["location"]).query)
        assert "code" in fields, fields
        return fields["code"][0]

    def cookie(self, user: User) -> dict[str, str]:
        """Sign a person in past the sign-in page; return the header that the browser sends then."""
        with self.sessions() as session:
            return {"Cookie": "=".join(protocol.start_session(session, self.host, user))}

    def tokens(self, app: App, user: User) -> dict[str, Any]:
        """Go through the code flow."""
        answer = self.token(app, **redemption(self.code(app, user)))
        assert answer.status == 200, answer
        return answer.json()

    # Requests, each over a connection of its own

    def ask(self, method: str, path: str, form: Form = None, headers: Form = None) -> Answer:
        """Send a request."""
        with self.line() as line:
            return line.ask(method, path, form, headers)

    def token(self, app: App, /, **form: str) -> Answer:
        """Ask the token endpoint."""
        return self.ask("POST", "/connect/token", {**form, **app.post})

    def machine_token(self, app: App) -> Answer:
        """Ask for a token of the client's own."""
        return self.token(app, grant_type="client_credentials")

    def refresh(self, app: App, token: str) -> Answer:
        """Use a refresh token."""
        return self.token(app, grant_type="refresh_token", refresh_token=token)

    def is_active(self, app: App, token: str) -> bool:
        """Ask what a token is worth, as the client it was issued to."""
        answer = self.ask("POST", "/connect/introspect", {"token": token, **app.post})
        assert answer.status == 200, answer
        return bool(answer.json()["active"])

    def submit(self, path: str, form: Mapping[str, str]) -> Answer:
        """Open a page with a browser that was never here, fill its form in and send it."""
        with self.line() as line:
            return line.submit(path, form)

    def sign_in(self, user: User, password: str = protocol.PASSWORD) -> Answer:
        """Sign in on the page: 303 when it succeeds, 400 when not, 429 when it is too early."""
        return self.submit("/login", sign_in_form(user, password))

    def forget_tries(self) -> None:
        """Empty the shared counters: every test comes from the same address."""
        with redis.Redis.from_url(self.valkey.url) as connection:
            connection.flushall()

    def readiness(self) -> str:
        """Ask whether the server can serve."""
        return str(self.ask("GET", "/readyz").json()["status"])

    def rotations(self, token: str) -> int:
        """Count how often the family was rotated since a refresh token."""
        read = refresh_rules.read(self.runtime.keyring, token)
        assert read is not None
        with self.sessions() as session:
            return protocol.family_of(session, token).generation - read.generation


@contextmanager
def filled_database(run: Run, prefix: str) -> Iterator[str]:
    """Make a migrated and seeded PostgreSQL database; yield its name."""
    name, server = f"{prefix}_{secrets.token_hex(6)}", run.postgres_server()
    create_database(server, name, run.postgresql_template())
    yield name
    drop_database(server, name)


@contextmanager
def running(folder: Path, database_url: str, **fields: Any) -> Iterator[Site]:
    """Run `idp serve` with a Valkey of its own on a database that is set up.

    It has two workers, or with SQLite the one that is possible.
    """
    port, valkey = free_port(), Valkey()
    valkey.start()
    settings = make_settings(
        folder,
        public_url=f"http://127.0.0.1:{port}",
        database_url=database_url,
        redis_url=valkey.url,
        **fields,
    )
    runtime = create_runtime(settings)
    runtime.cache._poll_seconds = 0
    try:
        server = LiveServer.start(
            as_environment(settings),
            port=port,
            log=folder / "server.log",
            workers=1 if database_url.startswith("sqlite") else 2,
            arguments=(),
            command=None,
        )
        site = Site(server, runtime, valkey, f"http://{settings.metrics_listen}/metrics")
        try:
            yield site
        finally:
            site.server.stop()
    finally:
        runtime.engine.dispose()
        valkey.stop()


def redemption(code: str) -> dict[str, str]:
    """Fill in the form that redeems a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
    }


def sign_in_form(user: User, password: str) -> dict[str, str]:
    """Fill in the form of the sign-in page."""
    return {"login": user.username, "password": password}


def at_once(number: int, action: Callable[[], T]) -> list[T]:
    """Do the same in so many threads at the same moment."""
    gate = threading.Barrier(number)

    def wait_and_act(_: int) -> T:
        gate.wait(30)
        return action()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(wait_and_act, range(number)))


def _is_start(line: str) -> bool:
    return '"event":"worker_started"' in line and '"server":' in line


def _remote_ports(pid: int) -> Collection[int]:
    connections = psutil.Process(pid).net_connections("tcp")
    return {connection.raddr.port for connection in connections if connection.raddr}
