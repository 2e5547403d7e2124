"""The wheel holds all that is needed to set up and serve, and nothing that is not."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
import zipfile
from pathlib import Path

import pytest

from idp.platform import files
from tests import wheels
from tests.conftest import SECRET_KEY
from tests.servers import LiveServer, clean_environment, free_port

pytestmark = pytest.mark.no_database

ROOT = wheels.ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it runs with, and no tool of ours."""
    return wheels.install(wheel, tmp_path_factory.mktemp("made") / "environment")


def test_the_wheel_holds_every_file_that_running_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--", "idp", "migrations", "templates"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if tracked.returncode:
        pytest.skip("needs git and a clone to know which files belong to the project")
    expected = set()
    for name in tracked.stdout.splitlines():
        top, _, rest = name.partition("/")
        expected.add(name if top == "idp" else f"idp/_{top}/{rest}")
    assert expected - names == set()
    packaged = {name for name in names if ".dist-info/" not in name}
    assert {n for n in packaged if "__pycache__" in n or not n.startswith("idp/")} == set()


def test_an_installed_wheel_sets_up_and_serves_from_an_empty_folder(
    python: Path, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        **clean_environment(),
        "IDP_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "IDP_SECRET_KEY": SECRET_KEY,
        "HOME": str(tmp_path),
    }
    empty = tmp_path / "empty"
    empty.mkdir()
    command = python.with_name("idp")

    def run(*arguments: str) -> str:
        return subprocess.run(
            [command, *arguments],
            cwd=empty,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    where = subprocess.run(
        [python, "-c", "import idp; print(idp.__file__)"],
        cwd=empty,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(os.fspath(python.parent.parent))
    assert json.loads(run("setup", "--json"))["issuer"] == f"http://127.0.0.1:{port}"
    run("setup")

    server = LiveServer.start(
        environment, port=port, log=tmp_path / "log", command=[command], folder=empty
    )
    try:
        for path, part in {
            "/.well-known/openid-configuration": f'"issuer":"{server.url}"',
            "/.well-known/openid-configuration/jwks": '"keys"',
            "/forgot": "<form",
            "/static/idp.css": "{",
        }.items():
            with urllib.request.urlopen(server.url + path) as answer:
                assert part in answer.read().decode(), path
    finally:
        assert server.stop() == 0, server.output()
    assert {entry.name for entry in empty.iterdir()} <= {"var", "keys"}


def test_files_beside_the_code_are_found_in_a_checkout() -> None:
    assert files.migrations_dir() == ROOT / "migrations"
    assert files.templates_dir() == ROOT / "templates"
