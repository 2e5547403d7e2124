"""Fixtures of every test: settings, databases, the application, and servers to talk to.

Each test has a database to itself, as a template is that is migrated and seeded once per run: a
SQLite file, or with `--database postgresql` a database of a real cluster.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import fcntl
import functools
import gc
import ipaddress
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from pydantic import SecretStr
from sqlalchemy import Dialect, Engine
from sqlalchemy.orm import Session
from sqlalchemy.util import LRUCache

from idp import api
from idp import app as application
from idp.app import create_app
from idp.config import Settings, sqlite_url
from idp.directory.users import passwords
from idp.platform import schema
from idp.platform.runtime import Runtime
from idp.platform.web import csrf
from idp.publishing.codegen import generators
from idp.runtime import create as create_runtime
from idp.seeds import seed
from tests import hashes, repeated
from tests.databases import Lent, copied, create_database, drop_database
from tests.delivery import deliver_due
from tests.servers import LiveServer, Postgres, Valkey, free_port, quick_dir, short_dir

SECRET_KEY = "bqOnlyTheTestsKnowThis7vJ2xWmZk4RtYc0Hs"
ADMIN_PASSWORD = "purple-tin-kettle-42"

_REAL_HASHES = {name: getattr(passwords, name) for name in ("_hasher", "_NOBODY")}

hashes.hash_quickly()

# Servers and commands that tests start would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Settings of the caller must not change what the tests see, nor may libpq find another server.
for _name in [name for name in os.environ if name.startswith(("IDP_", "PG"))]:
    del os.environ[_name]


# What a run shares: one cluster, one Valkey, one template of each kind of database.


@dataclass
class Run:
    """Servers and templates of one test run; with xdist every worker sees the same."""

    folder: Path
    postgres: Postgres | None = None
    valkey: Valkey | None = None

    def start_all(self) -> None:
        """Start what the workers share."""
        self.postgres_server()
        self.valkey_server()

    def postgres_server(self) -> Postgres:
        """Return the cluster, starting it at first use."""
        if self.postgres is None:
            self.postgres = Postgres()
            self.postgres.start()
        return self.postgres

    def valkey_server(self) -> Valkey:
        """Return the shared Valkey, starting it at first use."""
        if self.valkey is None:
            self.valkey = Valkey()
            self.valkey.start()
        return self.valkey

    def stop(self) -> None:
        """Stop what this process started and remove every file."""
        for server in (self.postgres, self.valkey):
            if server is not None:
                server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def once(self, name: str, make: Callable[[], None]) -> None:
        """Do something once per run; when it failed, every later caller hears of it."""
        done, failed = self.folder / f"{name}.done", self.folder / f"{name}.failed"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if failed.exists():
                pytest.fail(f"{name}: {failed.read_text()}")
            if done.exists():
                return
            try:
                make()
            except Exception as error:
                failed.write_text(repr(error))
                raise
            done.touch()

    def sqlite_template(self) -> Path:
        """Return a migrated and seeded SQLite file."""
        path = self.folder / "template.sqlite3"
        self.once("sqlite", lambda: _migrate_and_seed(sqlite_url(path), self.folder))
        return path

    def postgresql_template(self) -> str:
        """Name a migrated and seeded PostgreSQL database."""
        server = self.postgres_server()

        def make() -> None:
            create_database(server, "template_idp")
            _migrate_and_seed(server.url("template_idp"), self.folder)

        self.once("postgresql", make)
        return "template_idp"


_RUN = pytest.StashKey[Run]()


def make_settings(folder: Path, **fields: Any) -> Settings:
    """Make settings of a development installation in a folder."""
    return Settings(
        **{
            "environment": "development",
            "data_dir": folder / "data",
            "keys_dir": folder / "keys",
            "secret_key": SecretStr(SECRET_KEY),
            "admin_password": SecretStr(ADMIN_PASSWORD),
            **fields,
        }
    )


def changed(settings: Settings, **fields: Any) -> Settings:
    """Return settings with other values for some fields, which are checked as all are."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return type(settings)(**{**given, **fields})


def as_environment(settings: Settings) -> dict[str, str]:
    """Write settings as the variables that give them to another process."""
    variables = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        variables[f"IDP_{name.upper()}"] = str(value)
    return variables


def _migrate_and_seed(url: str, folder: Path) -> None:
    schema.upgrade(url)
    settings = make_settings(folder, database_url=url)
    runtime = create_runtime(settings)
    with runtime.sessions() as session:
        seed(session, settings)
        session.commit()
    runtime.engine.dispose()


# pytest itself


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the database."""
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="database that the tests use",
    )
    parser.addoption("--note-statements", type=Path, help="write what each test sent to a file")
    parser.addoption(
        "--by-statements", type=Path, help="leave out tests whose statements others send; see there"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Prepare what the run shares; a worker is told by its controller."""
    config.addinivalue_line("markers", "settings(**fields): settings of the test's application")
    config.addinivalue_line("markers", "postgresql: only meaningful with --database postgresql")
    config.addinivalue_line("markers", "sqlite: only meaningful on SQLite")
    given = getattr(config, "workerinput", None)
    if given is None:
        memory = quick_dir()
        if memory is not None:
            # Copies of the database are made there, where no disk makes anybody wait.
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
        config.stash[_RUN] = Run(short_dir())
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up as Ctrl-C does
    else:
        config.stash[_RUN] = Run(
            Path(given["run"]),
            Postgres(Path(given["postgres"])),
            Valkey(Path(given["valkey"])),
        )
    if config.getoption("--note-statements") is not None:
        file = config.stash[_RUN].folder / f"{os.getpid()}{repeated.SUFFIX}"
        config.pluginmanager.register(repeated.Recorder(file))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the shared servers before the first worker, and tell each where they are."""
    run = node.config.stash[_RUN]
    run.start_all()
    node.workerinput |= {
        "run": str(run.folder),
        "postgres": str(run.postgres.folder),
        "valkey": str(run.valkey.folder),
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers, also after Ctrl-C."""
    run = config.stash.get(_RUN, None)
    if run is not None and not hasattr(config, "workerinput"):
        run.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what asks for the other database, and what need not be said on this one again."""
    other = "postgresql" if config.getoption("database") == "sqlite" else "sqlite"
    left_out = [item for item in items if item.get_closest_marker(other) is not None]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item.get_closest_marker(other) is None]
    noted: Path | None = config.getoption("--by-statements")
    if noted is not None:
        repeated.deselect(config, items, repeated.gather([noted]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Put together what the processes of the run noted."""
    noted: Path | None = session.config.getoption("--note-statements")
    if noted is not None and not hasattr(session.config, "workerinput"):
        noted.parent.mkdir(exist_ok=True)
        files = session.config.stash[_RUN].folder.glob(f"*{repeated.SUFFIX}")
        noted.write_text("".join(file.read_text() for file in sorted(files)))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: a sixth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Close sockets to other hosts: what is not ours is not talked to."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(self: socket.socket, address: Any) -> None:
        if self.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(address[0]).is_loopback:
                return
        if address[0] != "localhost":
            raise OSError(f"tests do not talk to {address[0]}")

    def guarded(self: socket.socket, address: Any) -> None:
        check(self, address)
        return connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        check(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield


@pytest.fixture
def real_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as in production."""
    for name, value in _REAL_HASHES.items():
        monkeypatch.setattr(passwords, name, value)


# Databases


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """Return what the whole run shares."""
    return pytestconfig.stash[_RUN]


@pytest.fixture
def new_database(run: Run) -> Iterator[Callable[[], str]]:
    """Make empty PostgreSQL databases, whatever the tests otherwise use; return their addresses."""
    server, made = run.postgres_server(), []

    def make() -> str:
        made.append(f"new_{secrets.token_hex(6)}")
        create_database(server, made[-1])
        return server.url(made[-1])

    yield make
    for name in made:
        drop_database(server, name)


@pytest.fixture(scope="session")
def _lent(run: Run) -> Iterator[Lent]:
    """Return the database that tests of this process use one after the other."""
    lent = Lent(run.postgres_server(), run.postgresql_template())
    yield lent
    lent.drop()


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, run: Run, tmp_path: Path, pytestconfig: pytest.Config
) -> Iterator[str]:
    """Return a migrated and seeded database of this test alone."""
    if pytestconfig.getoption("database") == "sqlite":
        yield copied(run.sqlite_template(), tmp_path)
        return
    lent: Lent = request.getfixturevalue("_lent")
    yield lent.lend()
    lent.take_back()


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Settings:
    """Return the settings of this test; `@pytest.mark.settings(demo=True)` changes fields."""
    fields: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("settings"))):
        fields |= marker.kwargs
    return make_settings(tmp_path, **{"database_url": database_url, **fields})


# The application


# The operations of the contracts are the same in every application.
api.blueprints = functools.cache(api.blueprints)
_FUNCTIONS = (
    *("before_request_funcs", "after_request_funcs", "teardown_request_funcs"),
    *("template_context_processors", "url_value_preprocessors", "url_default_functions"),
)
"""What an application holds by the names of blueprints; under None what concerns all pages."""
_registered: dict[str, Any] = {}


def _register_once(app: Flask, settings: Settings) -> None:
    """Register the blueprints in the first application of this process; others take them over.

    No setting changes them, and a thousand routes take a tenth of a second.
    """
    exempt = app.extensions[csrf.EXTENSION].exempt
    if _registered:
        for name in _FUNCTIONS:
            for key, functions in _registered[name].items():
                getattr(app, name)[key].extend(functions)
        app.error_handler_spec.update(_registered["error_handler_spec"])
        app.view_functions = {**_registered["view_functions"], **app.view_functions}
        app.blueprints |= _registered["blueprints"]
        app.url_map = _registered["url_map"]
        exempt |= _registered["exempt"]
    else:
        own = {name: len(getattr(app, name).get(None, [])) for name in _FUNCTIONS}
        setup_blueprints(app, settings)
        for name, number in own.items():
            found = getattr(app, name)
            _registered[name] = {
                key: functions[0 if key else number :] for key, functions in found.items()
            }
        handlers = {key: found for key, found in app.error_handler_spec.items() if key}
        _registered["error_handler_spec"] = handlers
        _registered["view_functions"] = {**app.view_functions}
        _registered["blueprints"] = {**app.blueprints}
        _registered["url_map"] = app.url_map
        _registered["exempt"] = {*exempt}
    app.add_url_rule = partial(_add_own_rule, app)  # type: ignore[method-assign]


def _add_own_rule(app: Flask, *rule: Any, **options: Any) -> None:
    """Add the first route of a test's own to a copy of the routes, which are shared until then."""
    del app.add_url_rule
    shared, app.url_map = app.url_map, app.url_map_class()
    for each in shared.iter_rules():
        copy = each.empty()
        vars(copy).update(provide_automatic_options=each.provide_automatic_options)
        app.url_map.add(copy)
    app.add_url_rule(*rule, **options)


setup_blueprints = application.setup_blueprints
application.setup_blueprints = _register_once
_DIALECTS: dict[str, tuple[Dialect, Any]] = {}
_STATEMENTS = 5000


def _share_statements(engine: Engine) -> None:
    """Share compiled statements between the engines of this process, over all tests."""
    name = engine.dialect.name
    if name not in _DIALECTS:
        engine.connect().close()  # the dialect asks the server what it can do
        _DIALECTS[name] = (engine.dialect, LRUCache(_STATEMENTS))
    dialect, statements = _DIALECTS[name]
    # What was compiled belongs to the dialect that it was compiled for.
    engine.dialect = engine.pool._dialect = dialect
    engine._compiled_cache = statements


def share_compiled(app: Flask, run: Run) -> Runtime:
    """Share what each application would compile anew: its templates and its statements."""
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(run.folder))
    runtime: Runtime = app.extensions["idp"]
    _share_statements(runtime.engine)
    return runtime


@pytest.fixture
def app(settings: Settings, run: Run) -> Iterator[Flask]:
    """Return the application, as a server would run it."""
    app = create_app(settings)
    runtime = share_compiled(app, run)
    runtime.cache._poll_seconds = 0  # what another node changes is seen at once
    yield app
    runtime.engine.dispose()


@pytest.fixture
def runtime(app: Flask) -> Runtime:
    """Return what the application holds for its whole life."""
    runtime: Runtime = app.extensions["idp"]
    return runtime


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    """Return a database session. Commit before something else shall see what it wrote."""
    with runtime.sessions() as session:
        yield session


class IssuerClient(FlaskClient):
    """A browser that opens paths at one issuer."""

    def __init__(self, app: Flask, base_url: str, session: Session | None) -> None:
        super().__init__(app, app.response_class, use_cookies=True)
        self.base_url = base_url
        self._database = session

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request.

        The `session` fixture is committed first, since SQLite lets one writer in at a time, and
        reads afresh afterwards.
        """
        if args and isinstance(args[0], str):
            kwargs.setdefault("base_url", self.base_url)
        if self._database is not None:
            self._database.commit()
        answer = super().open(*args, **kwargs)
        if self._database is not None:
            self._database.expire_all()
        return answer


@pytest.fixture
def new_client(app: Flask, session: Session, settings: Settings) -> Callable[..., IssuerClient]:
    """Make browsers, each with cookies of its own; `base_url` names another issuer."""

    def make(base_url: str | None = None) -> IssuerClient:
        return IssuerClient(app, base_url or settings.public_url, session)

    return make


@pytest.fixture
def client(new_client: Callable[..., IssuerClient]) -> IssuerClient:
    """Return a browser at issuer 1."""
    return new_client()


# What surrounds the application


@dataclass(frozen=True)
class Message:
    """A mail or text message that a person would have received."""

    path: Path
    to: str
    subject: str
    text: str

    @classmethod
    def read(cls, path: Path) -> Message:
        """Read a message as the development outbox keeps it."""
        content = path.read_bytes()
        if path.suffix == ".eml":
            mail = email.message_from_bytes(content, policy=email.policy.default)
            return cls(path, mail["To"], mail["Subject"], mail.get_content())
        to, _, text = content.decode().partition("\n")
        return cls(path, to.removeprefix("To: "), "", text.lstrip("\n"))


@pytest.fixture
def valkey_url(run: Run) -> str:
    """Return an empty Valkey, for this test alone while it runs."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    url = f"{run.valkey_server().url}?db={worker}"
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
    return url


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """Return a Valkey that the test may kill and start again."""
    server = Valkey()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Stop the clock; `clock.shift(seconds)` moves it."""
    with time_machine.travel(datetime.now(UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def outbox(runtime: Runtime, session: Session) -> Callable[[], list[Message]]:
    """Do what the worker would do now; return the messages that lie in the folder, oldest first."""

    def read() -> list[Message]:
        session.commit()
        deliver_due(runtime)
        return [Message.read(path) for path in sorted(runtime.settings.outbox_dir.iterdir())]

    return read


@pytest.fixture
def listed_generators(run: Run, settings: Settings) -> None:
    """Lay down what openapi-generator offers; it is asked once in the whole run."""
    kept = run.folder / "generators"

    def make() -> None:
        generators.offered(make_settings(run.folder / "listing"))
        shutil.copytree(run.folder / "listing" / "data" / "codegen", kept)

    run.once("generators", make)
    shutil.copytree(kept, settings.data_dir / "codegen", dirs_exist_ok=True)


@pytest.fixture
def live_server(
    settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., LiveServer]]:
    """Start `idp serve` on a free port with this test's database, and stop it at the end.

    Several workers get the shared Valkey, unless the settings name one.
    """
    started: list[LiveServer] = []

    def start(
        *,
        workers: int = 1,
        arguments: tuple[str, ...] = ("--no-worker",),
        host: str = "127.0.0.1",
        port: int | None = None,
        command: Sequence[str] | None = None,
        **fields: Any,
    ) -> LiveServer:
        port = port or free_port()
        if workers > 1 and not settings.redis_url:
            fields.setdefault("redis_url", request.getfixturevalue("valkey_url"))
        served = changed(settings, **{"public_url": f"http://{host}:{port}", **fields})
        server = LiveServer.start(
            as_environment(served),
            port=port,
            log=tmp_path / f"server-{len(started)}.log",
            workers=workers,
            arguments=arguments,
            command=command,
        )
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
