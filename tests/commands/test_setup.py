"""`idp setup`, and what any command says when it cannot work."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from idp.commands.setup import curl
from idp.config import Settings
from idp.doctor import storage
from idp.platform import schema
from tests.conftest import SECRET_KEY, as_environment, make_settings
from tests.nursery import NURSERY
from tests.servers import LiveServer


def execute(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `idp` as a process of its own, in an empty folder."""
    return NURSERY.run(arguments, {"PATH": os.environ["PATH"], **variables}, folder)


@pytest.mark.settings(demo=True)
def test_setup_tells_the_demo_and_repeats_itself(
    idp: Callable[..., Result], idp_json: Callable[..., Any]
) -> None:
    first = idp_json("setup")
    assert first["issuer"] == "http://127.0.0.1:8000"
    assert first["admin_username"] == "admin"
    assert first["admin_password"] is None
    assert [client["client_id"] for client in first["clients"]] == [
        "demo-web",
        "demo-spa",
        "demo-service",
    ]
    assert idp_json("setup") == first
    text = idp("setup").stdout
    for client in first["clients"]:
        assert client["client_id"] in text
        assert (client["client_secret"] or "no secret") in text
    assert first["demo_password"] in text
    assert curl(first["issuer"], "demo-service", first["clients"][2]["client_secret"]) in text


def test_the_address_for_passkeys_is_printed_where_there_can_be_none(
    idp: Callable[..., Result],
) -> None:
    line = "IDP_PUBLIC_URL=http://localhost:8000"
    assert line in idp("setup", IDP_PUBLIC_URL="http://127.0.0.1:8000").stdout
    assert "Passkeys" not in idp("setup", IDP_PUBLIC_URL="http://localhost:8000").stdout


@pytest.mark.no_database
def test_the_curl_survives_a_shell_and_the_header() -> None:
    words = shlex.split(curl("https://id.example", "demo-service", "a b:c'd\"%&"))
    assert words[0] == "curl"
    assert words[3] == "demo-service:a%20b%3Ac%27d%22%25%26"
    assert words[-1] == "https://id.example/connect/token"


@pytest.mark.settings(demo=True, demo_service_secret=SecretStr("a+secret:with/100%&signs=x"))
def test_the_printed_curl_gets_a_token(
    idp: Callable[..., Result], live_server: Callable[..., LiveServer]
) -> None:
    server = live_server()
    printed = idp("setup", IDP_PUBLIC_URL=server.url).stdout
    line = next(line for line in printed.splitlines() if line.strip().startswith("curl"))
    words = shlex.split(line)
    fields = [words[place + 1] for place, word in enumerate(words) if word == "-d"]
    credentials = base64.b64encode(words[3].encode()).decode()
    answer = httpx.post(
        words[-1],
        content="&".join(fields),
        headers={
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "demo.read"


@pytest.mark.no_database
def test_an_empty_folder_becomes_an_installation(tmp_path: Path) -> None:
    done = execute(tmp_path, "setup", "--json", IDP_ENVIRONMENT="development")
    assert (done.returncode, done.stderr) == (0, "")
    first = json.loads(done.stdout)
    assert len(first["admin_password"]) >= 16
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o077 == 0
    again = json.loads(execute(tmp_path, "setup", "--json").stdout)
    assert again["admin_password"] is None, "shown once"
    listed = execute(tmp_path, "keys", "list", "--json")
    assert {key["status"] for key in json.loads(listed.stdout)} == {"active", "next"}


@pytest.mark.no_database
def test_an_installation_lies_in_its_folder_whatever_that_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "50%25 what?a=b#c 库"
    variables = {"IDP_ENVIRONMENT": "development", "IDP_DATA_DIR": str(folder)}
    done = execute(tmp_path, "setup", **variables)
    assert done.returncode == 0, done.stderr
    assert execute(tmp_path, "user", "add", "--username", "ann", **variables).returncode == 0
    assert list(tmp_path.iterdir()) == [folder]
    assert {path.name for path in folder.iterdir()} == {"idp.sqlite3", "secret_key"}
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}


@pytest.mark.no_database
def test_a_misspelt_setting_is_warned_of(tmp_path: Path) -> None:
    variables = {"IDP_ENVIRONMENT": "development", "IDP_PUBLIK_URL": "https://id.example"}
    warning = "Warning: not a setting: IDP_PUBLIK_URL (did you mean IDP_PUBLIC_URL?): "
    for command in ("client list", "serve", "worker"):
        done = execute(tmp_path, *command.split(), **variables)
        assert done.returncode == 1
        first, last = done.stderr.splitlines()
        assert first.startswith(warning)
        assert last.endswith("is not set up: run `idp setup`.")


@pytest.mark.no_database
def test_production_without_a_secret_is_a_sentence(tmp_path: Path) -> None:
    for command in ("setup", "user disable x", "keys list", "client list"):
        done = execute(tmp_path, *command.split())
        assert done.returncode == 2
        assert done.stderr == (
            f"Error: IDP_SECRET_KEY is not set, and no installation is in {tmp_path / 'var'}"
            " (IDP_DATA_DIR): run this in the folder of the installation or with its settings; for"
            " a new one set IDP_SECRET_KEY to what `openssl rand -base64 48` prints.\n"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.no_database
def test_wrong_settings_are_named(tmp_path: Path) -> None:
    done = execute(
        tmp_path, "setup", IDP_SESSION_HOURS="many", IDP_PUBLIC_URL="http://id.example/path"
    )
    assert done.returncode == 2
    assert "IDP_SESSION_HOURS" in done.stderr
    assert "IDP_PUBLIC_URL" in done.stderr
    short = execute(tmp_path, "setup", IDP_SECRET_KEY="purple")
    assert short.returncode == 2
    assert "32 characters" in short.stderr
    assert "purple" not in short.stderr


@pytest.mark.no_database
def test_a_database_that_is_not_there_or_not_set_up_is_a_sentence(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    variables = as_environment(settings)
    empty = execute(tmp_path, "client", "list", **variables)
    assert empty.returncode == 1
    assert empty.stderr == (
        f"Error: The database {settings.data_dir / 'idp.sqlite3'} is not set up: run `idp setup`.\n"
    )
    away = {**variables, "IDP_DATABASE_URL": "postgresql+psycopg://u:geheim@127.0.0.1:1/x"}
    refused = execute(tmp_path, "client", "list", **away)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: The database reported an error: ")
    assert "Traceback" not in refused.stderr
    assert "geheim" not in refused.stderr
    assert list(tmp_path.iterdir()) == []
    nonsense = execute(tmp_path, "client", "list", **{**variables, "IDP_DATABASE_URL": "x:/y"})
    assert nonsense.returncode == 2
    assert "Traceback" not in nonsense.stderr


@pytest.mark.no_database
def test_help_names_every_command_and_loads_none(tmp_path: Path) -> None:
    done = execute(tmp_path, "--help")
    for name in ("audit", "client", "db", "keys", "serve", "setup", "token", "user", "worker"):
        assert f"\n  {name} " in done.stdout
    assert execute(tmp_path, "nothing").returncode == 2
    script = "import sys; from idp.cli import main; print('flask' in sys.modules)"
    probe = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert probe.stdout == "False\n"


def test_no_secret_of_the_installation_is_printed(
    idp: Callable[..., Result], settings: Settings
) -> None:
    for command in ("setup", "audit list", "client list --json", "keys list --json"):
        output = idp(*command.split()).output
        assert SECRET_KEY not in output
        assert settings.admin_password.get_secret_value() not in output


def administrators(settings: Settings) -> int:
    engine = create_engine(settings.database)
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM \"user\" WHERE username = 'admin'"))
    engine.dispose()
    return int(found or 0)


@pytest.mark.no_database
def test_nodes_that_set_up_at_once_make_everything_once(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, database_url=new_database())
    environment = as_environment(settings)
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(execute, tmp_path, "setup", **environment) for _ in range(2)]
        for task in tasks:
            done = task.result()
            assert done.returncode == 0, done.stderr
    assert administrators(settings) == 1
    listed = execute(tmp_path, "keys", "list", "--json", **environment)
    keys = [(key["alg"], key["status"]) for key in json.loads(listed.stdout)]
    assert len(keys) == len(set(keys)), "one of each kind"


KILL = """\
import os, sys
from sqlalchemy import Engine, event
left = int(sys.argv.pop(1))
def commit(connection):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
event.listen(Engine, "commit", commit)
from idp.cli import main
main()
"""
"""`idp`, killed before one of its commits."""


@pytest.mark.no_database
def test_a_setup_that_was_killed_before_any_of_its_commits_is_run_again(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, database_url=new_database())
    schema.upgrade(settings.database)  # migrations that are killed have a test of their own
    environment = as_environment(settings) | {"PATH": os.environ["PATH"]}
    root = str(Path(__file__).parents[2])
    for commits in range(20):
        done = subprocess.run(
            [sys.executable, "-c", KILL, str(commits), "setup"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": root},
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    else:
        pytest.fail("setup does not end")
    assert commits > 0
    assert administrators(settings) == 1
    assert execute(tmp_path, "doctor", **environment).returncode == 0


@pytest.mark.no_database
def test_migrations_may_have_an_address_of_their_own(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url, other = new_database(), new_database()
    settings = make_settings(tmp_path, database_url=url, migrate_url=url)
    environment = as_environment(settings)
    done = execute(tmp_path, "setup", **environment)
    assert done.returncode == 0, done.stderr
    assert schema.current(url) == schema.head()
    assert storage.migrations(settings).state == "ok"

    wrong = environment | {"IDP_MIGRATE_URL": other}
    for arguments in (["setup"], ["setup", "--check"]):
        done = execute(tmp_path, *arguments, **wrong)
        assert done.returncode != 0
        assert "IDP_MIGRATE_URL and IDP_DATABASE_URL name different databases" in done.stderr
        assert "Traceback" not in done.stderr
    assert schema.current(other) is None
    elsewhere = make_settings(tmp_path, database_url=url, migrate_url=other)
    assert storage.migrations(elsewhere).state == "failed"
    away = make_settings(tmp_path, database_url=url, migrate_url=url.replace("host=", "host=/none"))
    assert "IDP_MIGRATE_URL" in storage.migrations(away).seen


@pytest.mark.no_database
def test_an_address_for_migrations_is_one_of_postgresql(tmp_path: Path) -> None:
    environment = {"IDP_ENVIRONMENT": "development"}
    done = execute(tmp_path, "setup", IDP_MIGRATE_URL="sqlite:///x.sqlite3", **environment)
    assert done.returncode == 2
    assert "IDP_MIGRATE_URL: must be postgresql://" in done.stderr
    done = execute(tmp_path, "setup", IDP_MIGRATE_URL="postgresql://u:secret@h/d", **environment)
    assert done.returncode == 2
    assert "IDP_DATABASE_URL is not PostgreSQL" in done.stderr
    assert "secret" not in done.stderr
