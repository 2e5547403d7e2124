"""How tests of backups run `idp`, and where they bring what comes back."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from idp.app import create_app
from idp.cli import main
from idp.config import Settings, sqlite_url
from idp.platform import connections
from idp.platform.runtime import Runtime
from tests.conftest import IssuerClient, as_environment
from tests.servers import postgres_programs

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find `pg_dump` and `pg_restore` of the server's release before those of the system."""
    monkeypatch.setenv("PATH", f"{postgres_programs()}{os.pathsep}{os.environ['PATH']}")


@dataclass
class Place:
    """An empty database on another machine, with a folder of its own."""

    settings: Settings
    apps: list[Flask] = field(default_factory=list)

    def open(self) -> IssuerClient:
        """Serve what was restored; return a browser there."""
        if not self.apps:
            self.apps.append(create_app(self.settings))
            self.runtime.cache._poll_seconds = 0
        return IssuerClient(self.apps[0], self.settings.public_url, None)

    @property
    def runtime(self) -> Runtime:
        """What the application there holds."""
        runtime: Runtime = self.apps[0].extensions["idp"]
        return runtime

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.settings.data_dir

    def is_empty(self) -> bool:
        """Return whether nothing was written: no file, and no table."""
        left = [path for path in self.folder.rglob("*") if path.is_file()]
        if self.settings.database.startswith("sqlite"):
            return left == []
        engine = connections.engine(self.settings.database)
        with engine.connect() as connection:
            names = inspect(connection).get_table_names()
        engine.dispose()
        return left == [] and names == []


@pytest.fixture
def new_place(
    settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Place]]:
    """Make places with an empty database of the kind that the tests use."""
    made: list[Place] = []

    def make() -> Place:
        folder = tmp_path / f"place-{secrets.token_hex(3)}"
        url = sqlite_url(folder / "idp.sqlite3")
        if settings.database.startswith("postgresql"):
            url = request.getfixturevalue("new_database")()
        given = {name: getattr(settings, name) for name in settings.model_fields_set}
        made.append(Place(Settings(**{**given, "data_dir": folder, "database_url": url})))
        return made[-1]

    yield make
    for place in made:
        for app in place.apps:
            app.extensions["idp"].engine.dispose()


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    """Return a place that is empty."""
    return new_place()


@pytest.fixture
def idp(settings: Settings, session: Session) -> Run:
    """Run a command in this process, with the test's settings or with those of a place."""

    def run(*arguments: str, at: Place | None = None, code: int = 0, **extra: str) -> Result:
        session.commit()
        variables = as_environment(at.settings if at is not None else settings)
        result = CliRunner().invoke(
            main, [*map(str, arguments)], env={**variables, **extra}, catch_exceptions=False
        )
        session.expire_all()
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def idp_json(idp: Run) -> Callable[..., Any]:
    """Run a command with `--json` and read its answer."""

    def run(*arguments: str, **options: Any) -> Any:
        return json.loads(idp(*arguments, "--json", **options).stdout)

    return run


@pytest.fixture
def saved(idp: Run, session: Any, tmp_path: Path) -> Callable[..., Path]:
    """Make backups."""

    def save(*options: str) -> Path:
        session.commit()
        path = tmp_path / f"backup-{secrets.token_hex(3)}.tar"
        idp("backup", "--to", str(path), *options)
        return path

    return save
