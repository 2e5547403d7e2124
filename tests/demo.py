"""The demo: set up once per run, and copied for every module that opens it."""

from __future__ import annotations

import functools
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.app import create_app
from idp.cli import main
from idp.config import Settings, sqlite_url
from idp.directory.tenants.models import Tenant
from idp.directory.users import service as users
from tests import protocol
from tests.conftest import IssuerClient, Run, as_environment, make_settings, share_compiled
from tests.databases import create_database, drop_database
from tests.pages.browsing import submit

GIVEN = "a-password-for-the-demo"
_DATABASE, _TEMPLATE, _PRINTED = "idp.sqlite3", "template_demo", "printed.json"


@dataclass(frozen=True)
class Demo:
    """An installation that `idp setup` has made, and what it printed."""

    settings: Settings
    app: Flask
    printed: dict[str, Any]

    def sessions(self) -> Session:
        """Open a session on its database."""
        session: Session = self.app.extensions["idp"].sessions()
        return session

    def browser(self) -> IssuerClient:
        """Return a browser without cookies."""
        return IssuerClient(self.app, self.settings.public_url, None)

    def signed_in(self, name: str, password: str = GIVEN) -> IssuerClient:
        """Return a browser that has signed in by the page."""
        browser = self.browser()
        answer = submit(browser, "/login", {"login": name, "password": password})
        assert answer.status_code == 303, answer.get_data(as_text=True)
        return browser

    def entered(self, name: str) -> IssuerClient:
        """Return a browser in which a person is signed in, past the page."""
        browser = self.browser()
        with self.sessions() as session:
            protocol.sign_in(browser, session, users.find_by_username(session, name))
            session.commit()
        return browser

    def tenant(self, name: str) -> int:
        """Return the id of an organisation."""
        with self.sessions() as session:
            return session.scalars(select(Tenant.id).where(Tenant.name == name)).one()


def set_up(settings: Settings, *options: str) -> str:
    """Run `idp setup` and return what it printed."""
    result = CliRunner().invoke(
        main, ["setup", *options], env=as_environment(settings), catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def new_database_url(
    run: Run, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Make databases without tables, or copies of one."""
    made: list[str] = []

    def make(template: str = "template0") -> str:
        name = f"demo_{secrets.token_hex(6)}"
        if pytestconfig.getoption("database") == "sqlite":
            return sqlite_url(tmp_path_factory.mktemp(name) / _DATABASE)
        create_database(run.postgres_server(), name, template)
        made.append(name)
        return run.postgres_server().url(name)

    yield make
    for name in made:
        drop_database(run.postgres_server(), name)


@pytest.fixture(scope="module")
def demo(
    run: Run,
    new_database_url: Callable[..., str],
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Demo]:
    """Return a demo of this module alone."""
    is_sqlite = pytestconfig.getoption("database") == "sqlite"
    template = run.folder / "demo"
    run.once("demo", functools.partial(_set_up_once, run, template, is_sqlite=is_sqlite))
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(template, folder, dirs_exist_ok=True)
    url = sqlite_url(folder / _DATABASE) if is_sqlite else new_database_url(_TEMPLATE)
    settings = _settings(folder, url)
    app = create_app(settings)
    runtime = share_compiled(app, run)
    yield Demo(settings, app, json.loads((folder / _PRINTED).read_text()))
    runtime.engine.dispose()


def _settings(folder: Path, url: str) -> Settings:
    return make_settings(folder, database_url=url, demo=True, demo_password=SecretStr(GIVEN))


def _set_up_once(run: Run, folder: Path, *, is_sqlite: bool) -> None:
    folder.mkdir()
    if not is_sqlite:
        create_database(run.postgres_server(), _TEMPLATE)
    url = sqlite_url(folder / _DATABASE) if is_sqlite else run.postgres_server().url(_TEMPLATE)
    (folder / _PRINTED).write_text(set_up(_settings(folder, url), "--json"))
