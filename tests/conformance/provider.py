"""A provider that runs for a whole session of tests, with a database of its own."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session

from idp.config import Settings, sqlite_url
from idp.platform.runtime import Runtime
from tests import protocol
from tests.conformance.browser import Person
from tests.conftest import Run, as_environment, create_database, drop_database, make_settings
from tests.servers import LiveServer, free_port

DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Provider:
    """A running server, and a way into its database."""

    url: str
    server: LiveServer
    runtime: Runtime
    http: httpx.Client
    """For callers without cookies: relying parties and services."""

    def sessions(self) -> Session:
        """Open a session on the server's database."""
        return self.runtime.sessions()

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What discovery says."""
        answer = self.http.get(self.url + DISCOVERY)
        assert answer.status_code == 200, answer.text
        metadata: dict[str, Any] = answer.json()
        return metadata


@contextmanager
def own_database(run: Run, pytestconfig: pytest.Config, folder: Path) -> Iterator[str]:
    """Return a migrated and seeded database of the kind that this run tests with."""
    if pytestconfig.getoption("database") == "sqlite":
        path = folder / "idp.sqlite3"
        shutil.copyfile(run.sqlite_template(), path)
        yield sqlite_url(path)
        return
    name = f"session_{secrets.token_hex(6)}"
    create_database(run.postgres_server(), name, run.postgresql_template())
    yield run.postgres_server().url(name)
    drop_database(run.postgres_server(), name)


@contextmanager
def running(database_url: str, folder: Path, **fields: Any) -> Iterator[Provider]:
    """Run `idp serve` on a free port."""
    from idp.runtime import create as create_runtime

    port = free_port()
    settings: Settings = make_settings(
        folder, **{"database_url": database_url, "public_url": f"http://127.0.0.1:{port}", **fields}
    )
    # Two of them may share an embedded database, which servers refuse unless one takes over.
    server = LiveServer.start(
        as_environment(settings),
        port=port,
        log=folder / f"{port}.log",
        arguments=("--no-worker", "--overlap"),
        command=None,
        quick_hashes=True,
    )
    runtime = create_runtime(settings)
    try:
        with httpx.Client(verify=False) as http:  # all of it is plain http on this host
            yield Provider(server.url, server, runtime, http)
    finally:
        runtime.engine.dispose()
        server.stop()


def add_full_person(provider: Provider, username: str = "conny") -> Person:
    """Add a person who has a value for every claim of OpenID Connect Core 5.1."""
    with provider.sessions() as session:
        user = protocol.add_person(
            session,
            username,
            email=f"{username}@example.com",
            email_verified=True,
            mobile=f"+86139{secrets.randbelow(10**8):08}",
            mobile_verified=True,
            nick_name="Conny",
            avatar="https://img.example/conny.png",
            gender="female",
            birthday=date(1990, 2, 28),
            address="1 Test Street, Testville",
            zoneinfo="Asia/Shanghai",
            locale="zh-CN",
            family_name="Formance",
            given_name="Conny",
            middle_name="Q.",
            profile="https://conny.example/",
            website="https://blog.conny.example/",
        )
        session.commit()
        return Person(user.id, username, protocol.PASSWORD)
