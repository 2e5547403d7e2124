"""Lists over 100,000 rows on PostgreSQL: far pages cost like near ones."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from bench.measure import Figure, Result, alternate, at_most
from bench.servers import Servers
from idp.app import create_app
from idp.config import Settings
from idp.directory.clients import snapshot
from idp.directory.clients.models import Client, ClientGrantType, ClientScope
from idp.directory.tenants.models import Membership
from idp.directory.users.models import User
from idp.oauth import operator_tokens
from idp.platform import schema
from idp.platform.runtime import Runtime
from idp.seeds import seed
from tests.conftest import create_database
from tests.servers import Postgres

ROWS = 100_000
BATCH = 10_000
ROUNDS = 15
PAGE = 10
FAR = 1_000
"""Number of the far page."""


def lists(servers: Servers) -> list[Result]:
    """Time page 1 against page 1,000 of clients and of users."""
    server = Postgres()
    server.start()
    try:
        create_database(server, "bench")
        with tempfile.TemporaryDirectory() as folder:
            return [_measure(server.url("bench"), Path(folder), servers.plan.count(ROUNDS))]
    finally:
        server.stop()


def _measure(url: str, folder: Path, rounds: int) -> Result:
    settings = Settings(
        environment="development",
        data_dir=folder,
        keys_dir=folder / "keys",
        database_url=url,
        secret_key=SecretStr("a root secret that only the benchmark knows"),
        log_level="WARNING",
    )
    schema.upgrade(url)
    app = create_app(settings)
    runtime: Runtime = app.extensions["idp"]
    with runtime.sessions() as session:
        seed(session, settings)
        session.commit()
        token = _administrator_token(session)
        _fill(session)
    browser = app.test_client()

    def page(path: str, number: int) -> None:
        _list(browser, settings.public_url, token, f"{path}?take={PAGE}&skip={PAGE * (number - 1)}")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = alternate(
        {
            "clients, page 1, ms": lambda: page("/api/Client", 1),
            "clients, page 1,000, ms": lambda: page("/api/Client", FAR),
            "users, page 1, ms": lambda: page("/api/User", 1),
            "users, page 1,000, ms": lambda: page("/api/User", FAR),
        },
        rounds,
    )
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    figures["memory that the lists added, MiB"] = Figure([grown / 1024])
    bars = [
        at_most(
            f"{name}: page 1,000 / page 1",
            figures[f"{name}, page 1,000, ms"].median / figures[f"{name}, page 1, ms"].median,
            3.0,
        )
        for name in ("clients", "users")
    ]
    runtime.engine.dispose()
    return Result(figures, bars)


def _administrator_token(session: Session) -> str:
    user = session.scalars(select(User).where(User.username == "admin")).one()
    client = snapshot.find(session, "api-docs")
    if client is None:
        message = "the client api-docs is not seeded"
        raise RuntimeError(message)
    token = operator_tokens.issue_by_command(session, client, user, 1, ["ids4.ms.all"])
    session.commit()
    return token


def _fill(session: Session) -> None:
    """Insert clients with children and members of tenant 1."""
    for start in range(0, ROWS, BATCH):
        numbers = range(start, start + BATCH)
        ids = session.scalars(
            insert(Client).returning(Client.id),
            [{"client_id": f"client-{n}", "client_name": f"Client {n}"} for n in numbers],
        ).all()
        session.execute(
            insert(ClientGrantType),
            [{"client_id": row, "grant_type": "client_credentials"} for row in ids],
        )
        session.execute(
            insert(ClientScope), [{"client_id": row, "scope": "ids4.ms.client.get"} for row in ids]
        )
        people = session.scalars(
            insert(User).returning(User.id),
            [{"username": f"user{n}", "username_key": f"user{n}"} for n in numbers],
        ).all()
        session.execute(insert(Membership), [{"user_id": row, "tenant_id": 1} for row in people])
        session.commit()


def _list(browser: FlaskClient, origin: str, token: str, path: str) -> None:
    answer = browser.get(path, base_url=origin, headers={"Authorization": f"Bearer {token}"})
    content = answer.get_json()
    if content["code"] != 200 or len(content["data"]) != PAGE:  # noqa: PLR2004 - Status200OK
        message = f"{path}: {answer.get_data(as_text=True)[:300]}"
        raise RuntimeError(message)
