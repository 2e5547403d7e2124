"""The container image: how it is built, and as whom it runs. No image is built here."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, ROOT, instructions, is_pinned, read, stages

pytestmark = pytest.mark.no_database

DOCKERFILES = sorted(DEPLOY.rglob("Dockerfile"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: the Dockerfiles are not examined by it")
    done = subprocess.run(
        [program, "--no-color", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_every_base_is_pinned_and_the_last_user_is_not_root(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    arguments = dict(rest.split("=", 1) for name, rest in instructions(text) if name == "ARG")
    for stage in stages(text):
        base = stage[0][1].split()[0]
        wanted = re.fullmatch(r"\$\{(\w+)\}", base)
        assert base == "scratch" or is_pinned(arguments[wanted[1]] if wanted else base)
    users = [rest for name, rest in stages(text)[-1] if name == "USER"]
    user, _, group = users[-1].partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_the_image_has_the_python_that_the_tests_run_on() -> None:
    image = re.search(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)\.", read("Dockerfile"), re.MULTILINE)
    assert image is not None
    assert image[1] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_what_is_installed_is_locked_by_hashes() -> None:
    for name, rest in instructions(read("Dockerfile")):
        for command in rest.split("&&") if name == "RUN" else ():
            words = shlex.split(command)
            if "install" in words and words[0].endswith("pip"):
                assert "--require-hashes" in words or {"--no-deps", "--no-index"} <= set(words)
    requirements = re.split(r"\n(?=\S)", read("build.lock").strip())
    assert {one.split("==")[0] for one in requirements} >= {"hatchling", "packaging"}
    assert all("==" in one and "--hash=sha256:" in one for one in requirements)


def test_what_builds_the_image_is_what_builds_the_wheel_here() -> None:
    ours = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    for line in re.findall(r"^(\S+==\S+)", read("build.lock"), re.MULTILINE):
        if line.startswith(("hatchling==", "packaging==", "pathspec==", "pluggy==")):
            assert f"\n{line} " in ours, line


def test_all_that_the_wheel_is_made_of_reaches_the_build() -> None:
    copied = {
        source
        for name, rest in stages(read("Dockerfile"))[0]
        if name == "COPY"
        for source in rest.split()[:-1]
    }
    allowed = {
        line[1:] for line in read("Dockerfile.dockerignore").splitlines() if line.startswith("!")
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert "*" in read("Dockerfile.dockerignore").splitlines()
    assert copied >= {"idp", "migrations", "templates", "docs/examples", "pyproject.toml"}


def test_the_program_is_started_without_a_shell_and_ends_on_sigterm() -> None:
    last = dict(stages(read("Dockerfile"))[-1])
    assert last["ENTRYPOINT"].startswith("[")
    assert last["CMD"].startswith("[")
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert last["VOLUME"] == "/data"
    assert "IDP_DATA_DIR=/data" in last["ENV"]
    assert "PYTHONDONTWRITEBYTECODE=1" in last["ENV"]


def test_the_build_backend_makes_a_wheel_of_what_is_copied(tmp_path: Path) -> None:
    """The step of the build that needs no network, with the files that the build gets."""
    for name, rest in stages(read("Dockerfile"))[0]:
        for source in rest.split()[:-1] if name == "COPY" else ():
            target = tmp_path / "src" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(path, target)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", "dist", "src"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "dist").glob("idp-*.whl"))) == 1
