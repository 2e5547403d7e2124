"""Commands and the outbox worker run without the web application, which shares their engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from idp import commands
from idp.account import password_reset
from idp.api import docs
from idp.config import sqlite_url
from idp.early_app import db
from idp.platform.notify import mail, sms
from idp.platform.runtime import Runtime
from idp.publishing.codegen import jobs as sdk_jobs
from idp.publishing.descriptions import fetching
from idp.publishing.subscribers import mails
from idp.runtime import create
from tests.conftest import make_settings

WEB = {"idp.api", "idp.app", "idp.early_app", "idp.pages.blueprints", "flask_sqlalchemy"}
WITH_OPERATIONS = {"explain", "importing", "migrating", "openapi", "serve", "setup"}
"""Commands that read operations or their shapes, write migrations, or serve."""


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.no_database
def test_commands_load_no_web_application() -> None:
    folder = Path(commands.__file__).parent
    names = {path.stem for path in folder.glob("*.py")} - WITH_OPERATIONS - {"__init__"}
    assert "worker" in names
    imports = "\n".join(f"import idp.commands.{name}" for name in sorted(names))
    loaded = run(f"import sys\n{imports}\nprint(*sys.modules)").split()
    assert WEB.isdisjoint(loaded)


@pytest.mark.no_database
def test_the_worker_has_every_job_and_loads_no_operation() -> None:
    script = """
import json, sys
from idp import jobs
print(json.dumps({"operations": "idp.api" in sys.modules, "jobs": list(jobs.JOBS)}))
"""
    found = json.loads(run(script))
    assert not found["operations"]
    assert {mail.JOB, sms.JOB, password_reset.JOB, mails.JOB, sdk_jobs.JOB} <= set(found["jobs"])


@pytest.mark.no_database
def test_code_generation_reads_our_own_descriptions_as_they_are_served(app: Flask) -> None:
    own = app.extensions[fetching.EXTENSION]
    browser = app.test_client()
    assert own.keys() == {f"/openapi/{name}.json" for name in docs.CONTRACTS}
    for path, write in own.items():
        answer = browser.get(path, base_url="http://127.0.0.1:8000")
        assert write("http://127.0.0.1:8000") == answer.data


def test_flask_sqlalchemy_uses_the_engine_of_the_runtime(app: Flask, runtime: Runtime) -> None:
    with app.app_context():
        assert db.engine is runtime.engine
        assert db.session.connection().engine is runtime.engine


@pytest.mark.no_database
def test_a_runtime_keeps_its_database_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runtime = create(make_settings(tmp_path, database_url=sqlite_url(Path("idp.sqlite3"))))
    assert runtime.engine.url.database == str(tmp_path / "idp.sqlite3")
    assert runtime.engine.hide_parameters
    runtime.engine.dispose()


@pytest.mark.no_database
def test_the_pool_of_a_server_has_a_connection_for_each_thread(tmp_path: Path) -> None:
    url = "postgresql+psycopg://idp@127.0.0.1/idp"
    runtime = create(make_settings(tmp_path, database_url=url))
    assert (runtime.engine.pool.size(), runtime.engine.pool._max_overflow) == (10, 4)
    assert runtime.engine.hide_parameters
