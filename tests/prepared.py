"""Databases in which the rows that every test of a module begins with are made once."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from idp.app import create_app
from idp.config import sqlite_url
from idp.oauth import operator_tokens
from tests.conftest import IssuerClient, Run, make_settings, share_compiled
from tests.databases import Lent, copied, create_database, drop_database

HOURS = 8
"""How long tokens live that are made in advance: longer than any run of the tests."""
Make = Callable[[IssuerClient, Session], Any]


@dataclass(frozen=True)
class Prepared:
    """A database that each test finds as it was made, and what its maker returned."""

    database: Path | Lent
    made: Any

    @contextmanager
    def lent(self, folder: Path) -> Iterator[str]:
        """Return the address of the database for a test, whose files are in a folder."""
        if isinstance(self.database, Lent):
            yield self.database.lend()
            self.database.take_back()
            return
        yield copied(self.database, folder)


@contextmanager
def prepared(
    run: Run, config: pytest.Config, factory: pytest.TempPathFactory, make: Make
) -> Iterator[Prepared]:
    """Make rows in a new database."""
    folder, place = factory.mktemp("prepared"), f"prepared_{secrets.token_hex(6)}"
    if config.getoption("database") == "sqlite":
        path = folder / "idp.sqlite3"
        shutil.copyfile(run.sqlite_template(), path)
        yield Prepared(path, _made(run, folder, sqlite_url(path), make))
        return
    server = run.postgres_server()
    create_database(server, place, run.postgresql_template())
    made = _made(run, folder, server.url(place), make)
    lent = Lent(server, place)
    yield Prepared(lent, made)
    lent.drop()
    drop_database(server, place)


def _made(run: Run, folder: Path, url: str, make: Make) -> Any:
    settings = make_settings(folder, database_url=url)
    app = create_app(settings)
    runtime = share_compiled(app, run)
    with runtime.sessions() as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(operator_tokens, "COMMAND_TOKEN_SECONDS", HOURS * 3600)
        made = make(IssuerClient(app, settings.public_url, session), session)
        session.commit()
    runtime.engine.dispose()
    return made


def world(make: Make) -> Any:
    """Make the fixture of a module that prepares its database; `database_url` goes with it."""

    @pytest.fixture(scope="module")
    def world(
        run: Run, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Prepared]:
        with prepared(run, pytestconfig, tmp_path_factory, make) as made:
            yield made

    return world


@pytest.fixture
def database_url(world: Prepared, tmp_path: Path) -> Iterator[str]:
    """Return the database of a test, with the rows that its module prepared."""
    with world.lent(tmp_path) as url:
        yield url
