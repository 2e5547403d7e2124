"""A node of the release before on a database that a newer release has set up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import create_engine, insert, text
from sqlalchemy.orm import Session

from idp import __version__
from idp.commands import upgrading
from idp.config import Settings
from idp.platform import clock, revisions, schema, steps
from idp.platform.releases import service as releases
from idp.platform.releases.models import Installation, Node
from tests.conftest import as_environment
from tests.nursery import COMMAND
from tests.servers import LiveServer

HEAD = schema.head()
ROOT = Path(__file__).parents[2]


def newer(settings: Settings, *, fits: bool) -> None:
    """Make the database one that a release with two more migrations set up."""
    number = steps.number()
    values = {"number": number + 2, "oldest": number if fits else number + 1}
    engine = create_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'future'"))
        connection.execute(
            text(
                "UPDATE installation SET schema_number = :number, oldest_code = :oldest,"
                " release = '9.9.0'"
            ),
            values,
        )
    engine.dispose()


def back_to(settings: Settings, revision: str) -> None:
    schema.downgrade(settings.database, revision)


def seen(session: Session, name: str, *, number: int, seconds_ago: int = 10) -> None:
    values = {"name": name, "release": "0.0.9", "schema_number": number}
    moment = clock.now() - timedelta(seconds=seconds_ago)
    session.execute(insert(Node).values(**values, seen_at=moment))
    session.commit()


def test_setup_leaves_a_newer_database_that_fits_as_it_is(
    idp: Callable[..., Result], idp_json: Callable[..., Any], settings: Settings, session: Session
) -> None:
    newer(settings, fits=True)
    said = idp("setup").stdout
    assert said == "The database is newer (9.9.0) and fits this release; nothing to do.\n"
    assert idp_json("setup") == {"newer_release": "9.9.0"}
    assert idp("setup", "--contract").stdout == said
    assert idp("setup", "--check").stdout.startswith("There is nothing to do.\n")
    assert schema.current(settings.database) == "future"
    assert session.get_one(Installation, 1).release == "9.9.0"


def test_commands_go_on_with_a_newer_database_that_fits(
    idp: Callable[..., Result], idp_json: Callable[..., Any], settings: Settings
) -> None:
    newer(settings, fits=True)
    idp("user", "add", "--username", "ann")
    idp("user", "disable", "ann")
    assert idp_json("user", "show", "ann")["disabled"] is True
    kid = idp_json("keys", "list")[0]["kid"]
    idp("keys", "revoke", kid)
    (row,) = idp_json("doctor", "--only", "release")
    assert row["state"] == "ok"
    assert row["seen"].endswith("was set up by a newer release of idp and fits this one")


def test_a_newer_database_that_does_not_fit_is_one_sentence(
    idp: Callable[..., Result], settings: Settings
) -> None:
    newer(settings, fits=False)
    commands = ("setup", "setup --contract", "setup --check", "setup --sql", "serve", "worker")
    for command in (*commands, "user list", "keys list"):
        said = idp(*command.split(), code=1)
        line = said.stderr.splitlines()[-1]
        assert "was set up by a newer release of idp: run that release, or restore" in line
        assert "Traceback" not in said.output
    assert "was set up by a newer release" in idp("doctor", code=1).stdout


def test_nothing_is_copied_from_a_newer_database(
    idp: Callable[..., Result], settings: Settings, tmp_path: Path
) -> None:
    newer(settings, fits=True)
    target = tmp_path / "copy.sqlite3"
    said = idp("db", "copy", "--to", f"sqlite:///{target}", code=1)
    assert "was set up by a newer release of idp: copy it with that one." in said.stderr
    assert not target.exists()


@pytest.mark.parametrize("fits", [True, False])
def test_readiness_follows_whether_the_schema_fits(
    app: Flask, settings: Settings, *, fits: bool
) -> None:
    newer(settings, fits=fits)
    answer = app.test_client().get("/readyz")
    assert answer.status_code == (200 if fits else 503)
    assert answer.get_json()["checks"]["schema"] == ("up" if fits else "down")


def test_a_server_starts_on_a_newer_database_that_fits(
    live_server: Callable[..., LiveServer], settings: Settings, session: Session
) -> None:
    newer(settings, fits=True)
    server = live_server(arguments=())
    with urllib.request.urlopen(f"{server.url}/readyz") as answer:
        assert json.loads(answer.read())["status"] == "ready"
    (node,) = releases.running(session)  # the worker beside belongs to the server
    assert node.schema_number == steps.number()
    session.commit()
    newer(settings, fits=False)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{server.url}/readyz")
    refusal.value.close()
    assert refusal.value.code == 503
    assert server.stop() == 0


def test_a_worker_goes_on_with_a_newer_database_that_fits(
    settings: Settings, session: Session
) -> None:
    newer(settings, fits=True)
    environment = {"PATH": os.environ["PATH"], **as_environment(settings)}
    worker = subprocess.Popen([*COMMAND, "worker"], cwd=ROOT, env=environment)
    try:
        end = time.monotonic() + 60
        while not releases.running(session):
            session.rollback()
            assert worker.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        worker.terminate()
        assert worker.wait(60) == 0


def test_a_database_of_an_unknown_branch_does_not_fit(settings: Settings) -> None:
    engine = create_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'elsewhere'"))
    engine.dispose()
    with pytest.raises(schema.Conflict, match="newer release"):
        schema.upgrade(settings.database)


def test_expand_steps_are_run_and_nothing_more(
    idp: Callable[..., Result], settings: Settings
) -> None:
    back_to(settings, "0019")
    idp("setup")
    assert schema.current(settings.database) == schema.head()


def test_what_stands_behind_a_contract_step_is_not_run_without_it(
    idp: Callable[..., Result], settings: Settings
) -> None:
    back_to(settings, "0005")
    said = idp("setup", code=1).stderr
    assert said.startswith("Error: Migration 0007, which 0008 follows, takes away what older")
    assert "Traceback" not in said
    assert schema.current(settings.database) == "0005"


def test_contract_runs_everything_and_copies_a_file_before(
    idp: Callable[..., Result], settings: Settings
) -> None:
    back_to(settings, "0006")
    done = idp("setup", "--contract")
    assert schema.current(settings.database) == schema.head()
    if not settings.database.startswith("sqlite"):
        return
    path = done.stderr.partition("was copied to ")[2].strip().removesuffix(".")
    assert not list(Path(path).parent.glob("*.part"))
    assert schema.current(f"sqlite:///{path}") == "0006"
    assert Path(path).stat().st_mode & 0o077 == 0


def mark_contract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fields: str) -> None:
    """Add a contract step behind all others."""
    copy = tmp_path / "migrations"
    shutil.copytree(steps.folder(), copy)
    (copy / "versions" / "2999-01-01_contract.py").write_text(
        '"""Take a column away."""\n'
        "from alembic import op\n"
        f"revision = 'last'\ndown_revision = {schema.head()!r}\n{fields}\n"
        "def upgrade():\n    op.execute('DROP TABLE refusal')\n"
        "def downgrade():\n    pass\n"
    )
    monkeypatch.setattr(steps, "folder", lambda: copy)


CONTRACT = f'KIND = "contract"\nRELEASE = "{__version__}"\n'


def test_contract_is_refused_while_a_node_of_an_older_release_was_seen(
    idp: Callable[..., Result],
    settings: Settings,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    before = steps.number()
    mark_contract(monkeypatch, tmp_path, CONTRACT)
    seen(session, "gone:1:abc", number=before, seconds_ago=130)
    seen(session, "new:1:abc", number=before + 1)
    seen(session, "old:1:abc", number=before)
    said = idp("setup", "--contract", code=1).stderr
    assert said == (
        "Error: Nodes of an older release were seen in the last two minutes: old:1:abc (0.0.9)."
        " Stop them, then try again.\n"
    )
    assert "old:1:abc (0.0.9)" in idp("setup", "--contract", "--check", code=1).stdout
    assert schema.current(settings.database) == HEAD
    session.execute(text("DELETE FROM node WHERE name = 'old:1:abc'"))
    session.commit()
    idp("setup", "--contract")
    assert schema.current(settings.database) == "last"
    row = session.get_one(Installation, 1)
    assert (row.schema_number, row.oldest_code) == (before + 1, before + 1)


def test_a_contract_step_waits_and_is_named(
    idp: Callable[..., Result],
    settings: Settings,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    oldest = session.get_one(Installation, 1).oldest_code
    session.commit()
    mark_contract(monkeypatch, tmp_path, CONTRACT)
    idp("user", "list")  # the database fits as it is
    said = idp("setup")
    assert "run `idp setup --contract` (migrations last)" in said.stderr
    assert schema.current(settings.database) == HEAD
    session.expire_all()
    assert session.get_one(Installation, 1).oldest_code == oldest
    session.commit()
    assert "Waiting for `idp setup --contract`: last." in idp("setup", "--check").stdout
    target = f"sqlite:///{tmp_path / 'copy.sqlite3'}"
    assert "run `idp setup --contract`" in idp("db", "copy", "--to", target, code=1).stderr


def test_a_contract_step_of_a_later_release_is_not_run(
    idp: Callable[..., Result],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    mark_contract(monkeypatch, tmp_path, 'KIND = "contract"\nRELEASE = "99.0.0"\n')
    assert idp("setup", "--contract", "--check").stdout.startswith("There is nothing to do.")
    idp("setup", "--contract")
    assert schema.current(settings.database) == HEAD


def test_a_step_that_does_not_say_its_kind_counts_as_contract(
    idp: Callable[..., Result],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    mark_contract(monkeypatch, tmp_path, "")
    idp("setup")
    assert schema.current(settings.database) == HEAD


def test_a_contract_step_waits_for_its_backfill(
    idp: Callable[..., Result],
    settings: Settings,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    mark_contract(monkeypatch, tmp_path, f'{CONTRACT}NEEDS = "names"\n')
    missing = "The backfill names is not done: let `idp worker` run."
    assert missing in idp("setup", "--contract", code=1).stderr
    row = "INSERT INTO backfill (name, cursor, done_at) VALUES ('names', 0, NULL)"
    session.execute(text(row))
    session.commit()
    assert missing in idp("setup", "--contract", code=1).stderr
    session.execute(text("UPDATE backfill SET done_at = CURRENT_TIMESTAMP"))
    session.commit()
    idp("setup", "--contract")
    assert schema.current(settings.database) == "last"


def test_check_shows_what_would_be_run_and_runs_nothing(
    idp: Callable[..., Result], settings: Settings
) -> None:
    assert idp("setup", "--check").stdout == "There is nothing to do.\n"
    back_to(settings, "0012")
    said = idp("setup", "--check", code=upgrading.SOMETHING).stdout
    assert "0013  expand    Audit events: found by" in said
    is_sqlite = settings.database.startswith("sqlite")
    lock = "whole file: writers wait" if is_sqlite else "SHARE: writers wait"
    assert f"      audit_event (about {audit_rows(settings)} rows): {lock}\n" in said
    assert said.endswith("Running nodes may go on.\n")
    found = json.loads(idp("setup", "--check", "--json", code=upgrading.SOMETHING).stdout)
    pending = steps.chain()[steps.number_of("0012") :]
    assert [row["revision"] for row in found["run"]] == [step.revision for step in pending]
    assert found["run"][0]["kind"] == "expand"
    assert found["run"][0]["older_nodes_may_run"] is True
    assert (found["waiting"], found["problems"]) == ([], [])
    assert schema.current(settings.database) == "0012"


def audit_rows(settings: Settings) -> int:
    with revisions.looking(settings.database) as connection:
        return upgrading._estimated_rows(connection)["audit_event"]


def test_check_of_what_is_refused_ends_with_one(
    idp: Callable[..., Result], settings: Settings
) -> None:
    back_to(settings, "0006")
    found = json.loads(idp("setup", "--check", "--json", code=1).stdout)
    assert found["problems"][0].startswith("Migration 0007, which 0008 follows")
    assert found["waiting"][0] == "0007"
    found = json.loads(idp("setup", "--check", "--contract", "--json", code=10).stdout)
    assert [row["older_nodes_may_run"] for row in found["run"]][:2] == [False, True]


def test_the_printed_statements_do_what_setup_does(
    idp: Callable[..., Result], settings: Settings
) -> None:
    back_to(settings, "0012")
    script = idp("setup", "--sql").stdout
    assert schema.current(settings.database) == "0012"
    engine = create_engine(settings.database)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        if engine.dialect.name == "sqlite":
            driver.executescript(script)
        else:
            driver.autocommit = True
            # As psql does, which sends such a statement by itself.
            for piece in re.split(r"(?m)^((?:CREATE|DROP) INDEX CONCURRENTLY [^;]*;)", script):
                driver.execute(piece)
    engine.dispose()
    assert schema.current(settings.database) == schema.head()
    assert schema.drift(settings.database) == []
    assert "LIKE 'client:%'" in script
    assert idp("setup", "--check").stdout == "There is nothing to do.\n"


def test_an_empty_database_is_checked_without_being_made(
    idp: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "empty" / "idp.sqlite3"
    said = idp("setup", "--check", code=10, IDP_DATABASE_URL=f"sqlite:///{path}").stdout
    assert said.startswith("0001  expand    All tables of the first release.\n")
    assert said.endswith("The database is not set up yet.\n")
    assert not path.parent.exists()


def test_releases_that_run_side_by_side_are_shown_by_the_doctor(
    idp_json: Callable[..., Any], session: Session
) -> None:
    def nodes(code: int = 0) -> dict[str, str]:
        (row,) = idp_json("doctor", "--only", "nodes", code=code)
        return row

    assert nodes()["seen"] == "nodes seen in the last two minutes: none"
    releases.note(session, releases.node_name())
    session.commit()
    assert (nodes()["state"], nodes()["seen"].rpartition(": release ")[2]) == (
        "ok",
        f"{__version__}: 1",
    )
    seen(session, "old:1:abc", number=3)
    row = nodes(code=10)
    assert row["state"] == "warning"
    assert row["seen"].endswith(f": release 0.0.9: 1; release {__version__}: 1")
