"""`idp env`: every setting with value and source, no secret, and no database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from idp.cli import main
from idp.config import Settings
from idp.doctor import configuration
from tests.conftest import as_environment
from tests.servers import LiveServer, free_port

SECRET = "0f8c1d7be25a9346d1b09e7a4c63f85b"
WORKER_SECONDS = 30


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `idp env` in an empty folder with some variables alone."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0, **variables: str) -> Result:
        result = CliRunner().invoke(
            main, ["env", *arguments], env=variables, catch_exceptions=False
        )
        assert result.exit_code == code, result.output
        assert list(tmp_path.iterdir()) in ([], [tmp_path / "root"])
        return result

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a file with the root secret."""
    path = tmp_path / "root"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


def in_files(settings: Settings, folder: Path) -> dict[str, str]:
    """Write settings as variables, those with secrets as files."""
    folder.mkdir()
    variables = as_environment(settings)
    for name in ("IDP_DATABASE_URL", "IDP_SECRET_KEY", "IDP_ADMIN_PASSWORD"):
        if value := variables.pop(name, ""):
            path = folder / name.lower()
            path.write_text(f"{value}\n")
            path.chmod(0o600)
            variables[f"{name}_FILE"] = str(path)
    assert "IDP_SECRET_KEY_FILE" in variables
    return variables


@pytest.mark.no_database
def test_every_setting_is_listed_with_value_source_and_meaning(
    env: Callable[..., Result], root: Path
) -> None:
    given = {
        "IDP_SECRET_KEY_FILE": str(root),
        "IDP_ADMIN_PASSWORD": "geheim-1",
        "IDP_DATABASE_URL": "postgresql://ann:geheim-2@db.invalid:1/geheim-3?password=geheim-4",
        "IDP_AUDIT_DAYS": "7",
        "IDP_MAIL_FROM": "",
    }
    rows = {row["name"]: row for row in json.loads(env("--json", **given).stdout)}
    assert list(rows) == [f"IDP_{name.upper()}" for name in Settings.model_fields]
    assert rows["IDP_SECRET_KEY"] == {
        "name": "IDP_SECRET_KEY",
        "value": None,
        "source": "file",
        "file": str(root),
        "secret": True,
        "length": len(SECRET),
        "meaning": Settings.model_fields["secret_key"].description,
    }
    password = rows["IDP_ADMIN_PASSWORD"]
    assert (password["value"], password["length"], password["source"]) == (None, 8, "environment")
    assert (rows["IDP_DEMO_PASSWORD"]["value"], rows["IDP_DEMO_PASSWORD"]["length"]) == ("", 0)
    database = rows["IDP_DATABASE_URL"]
    assert (database["value"], database["length"]) == ("postgresql+psycopg://db.invalid:1", None)
    assert (rows["IDP_AUDIT_DAYS"]["value"], rows["IDP_AUDIT_DAYS"]["source"]) == (7, "environment")
    assert rows["IDP_MAIL_FROM"]["source"] == "default"
    assert rows["IDP_REDIS_URL"]["file"] is None

    text = env(**given).stdout
    assert f"IDP_SECRET_KEY = set, 32 characters (file {root})\n" in text
    assert "IDP_ADMIN_PASSWORD = set, 8 characters (environment)\n" in text
    assert "IDP_REDIS_URL = empty (default)\n" in text
    assert "IDP_DEMO = false (default)\n" in text
    assert "IDP_AUDIT_DAYS = 7 (environment)\n    Days that audit events are kept.\n" in text
    assert "geheim" not in text + json.dumps(rows)
    assert SECRET not in text + json.dumps(rows)


@pytest.mark.no_database
def test_unknown_variables_are_listed_without_their_values(env: Callable[..., Result]) -> None:
    given = {"IDP_SECRET_KEI": "geheim", "IDP_NOBODY_KNOWS": "geheim", "IDP_SERVICE_HOST": "a"}
    rows = [row for row in json.loads(env("--json", **given).stdout) if row["source"] == "unknown"]
    assert [(row["name"], row["value"], row["meaning"]) for row in rows] == [
        ("IDP_NOBODY_KNOWS", None, "not a setting"),
        ("IDP_SECRET_KEI", None, "not a setting; did you mean IDP_SECRET_KEY?"),
    ]
    result = env(**given)
    assert result.stdout.endswith(
        "IDP_NOBODY_KNOWS (not a setting)\n"
        "IDP_SECRET_KEI (not a setting; did you mean IDP_SECRET_KEY?)\n"
    )
    assert result.stderr == ""
    assert "geheim" not in result.output


@pytest.mark.no_database
def test_a_value_does_not_control_the_terminal(env: Callable[..., Result]) -> None:
    shown = env(IDP_ADMIN_USERNAME="\x1b[2Jann\N{RIGHT-TO-LEFT OVERRIDE}").stdout
    assert (
        "IDP_ADMIN_USERNAME = \N{REPLACEMENT CHARACTER}[2Jann\N{REPLACEMENT CHARACTER} (" in shown
    )


@pytest.mark.no_database
def test_settings_that_cannot_be_read_are_one_sentence(env: Callable[..., Result]) -> None:
    given = {"IDP_SECRET_KEY_FILE": "/nowhere/idp", "IDP_REDIS_URL_FILE": "/"}
    result = env(code=2, **given)
    assert result.stdout == ""
    assert result.stderr == (
        "Error: IDP_REDIS_URL_FILE: must name a regular file;"
        " IDP_SECRET_KEY_FILE: the file cannot be read (No such file or directory).\n"
    )


@pytest.mark.no_database
def test_the_doctor_says_where_the_root_secret_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_ENVIRONMENT", "development")
    local = configuration.secret(Settings())
    assert local.sentence.startswith("the root secret is in /")
    monkeypatch.setenv("IDP_SECRET_KEY_FILE", str(root))
    named = configuration.secret(Settings())
    assert "in the file that IDP_SECRET_KEY_FILE names" in named.sentence


def test_commands_read_files(settings: Settings, tmp_path: Path) -> None:
    variables = in_files(settings, tmp_path / "secrets")
    for words in (("user", "list"), ("keys", "list")):
        result = CliRunner().invoke(main, [*words, "--json"], env=variables, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        assert json.loads(result.stdout)


def test_the_server_and_the_worker_beside_it_read_files(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    variables = {
        **in_files(settings, tmp_path / "secrets"),
        "IDP_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    server = LiveServer.start(variables, port=port, log=tmp_path / "log", arguments=())
    try:
        end = time.monotonic() + WORKER_SECONDS
        while "worker_started" not in server.output():
            assert time.monotonic() < end, server.output()
            time.sleep(0.1)
    finally:
        assert server.stop() == 0
    assert "worker_died" not in server.output()
    assert settings.secret_keys[0] not in server.output()
