"""Units for systemd: how they confine what they start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from idp import cli
from idp.config import Settings
from tests.deploy.files import DEPLOY, GUIDE, VARIABLES

pytestmark = pytest.mark.no_database

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
EACH = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)

CONFINED = {
    "AmbientCapabilities": [""],
    "CapabilityBoundingSet": [""],
    "DynamicUser": ["yes"],
    "KeyringMode": ["private"],
    "LockPersonality": ["yes"],
    "MemoryDenyWriteExecute": ["yes"],
    "NoNewPrivileges": ["yes"],
    "PrivateDevices": ["yes"],
    "PrivateTmp": ["yes"],
    "PrivateUsers": ["yes"],
    "ProcSubset": ["pid"],
    "ProtectClock": ["yes"],
    "ProtectControlGroups": ["yes"],
    "ProtectHome": ["yes"],
    "ProtectHostname": ["yes"],
    "ProtectKernelLogs": ["yes"],
    "ProtectKernelModules": ["yes"],
    "ProtectKernelTunables": ["yes"],
    "ProtectProc": ["invisible"],
    "ProtectSystem": ["strict"],
    "RemoveIPC": ["yes"],
    "RestrictAddressFamilies": ["AF_INET AF_INET6 AF_UNIX"],
    "RestrictNamespaces": ["yes"],
    "RestrictRealtime": ["yes"],
    "RestrictSUIDSGID": ["yes"],
    "StateDirectory": ["idp"],
    "StateDirectoryMode": ["0700"],
    "SystemCallArchitectures": ["native"],
    "SystemCallErrorNumber": ["EPERM"],
    "SystemCallFilter": ["@system-service", "~@privileged"],
    "UMask": ["0077"],
    "User": ["idp"],
}
WORST = 20
"""Exposure that `systemd-analyze security` may find, in tenths of a point of ten."""


def parsed(text: str) -> dict[str, dict[str, list[str]]]:
    """Return the sections of a unit with the values of each option in their order."""
    sections: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            sections[section][name].append(value)
    return sections


def environment(path: Path) -> dict[str, str]:
    service = parsed(path.read_text(encoding="utf-8"))["Service"]
    words = [word for line in service["Environment"] for word in line.split()]
    return dict(word.split("=", 1) for word in words)


def verifying(*arguments: str) -> list[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return [program, *arguments]


def test_there_is_a_unit_for_the_server_and_one_for_the_worker() -> None:
    assert [path.name for path in UNITS] == ["idp-worker.service", "idp.service"]


@EACH
@pytest.mark.parametrize("option", CONFINED)
def test_every_unit_is_confined(path: Path, option: str) -> None:
    service = parsed(path.read_text(encoding="utf-8"))["Service"]
    assert service.get(option) == CONFINED[option]


@EACH
def test_secrets_are_credentials_that_the_unit_reads(path: Path) -> None:
    service = parsed(path.read_text(encoding="utf-8"))["Service"]
    credentials = {line.partition(":")[0] for line in service["LoadCredential"]}
    given = environment(path)
    assert given.keys() <= VARIABLES
    files = {name: value for name, value in given.items() if name.endswith("_FILE")}
    assert {value.removeprefix("%d/") for value in files.values()} == credentials
    assert files.keys() == {"IDP_SECRET_KEY_FILE", "IDP_DATABASE_URL_FILE"}
    assert given["IDP_DATA_DIR"] == "%S/idp" == service["WorkingDirectory"][0]


@EACH
def test_a_unit_starts_commands_that_exist(path: Path) -> None:
    service = parsed(path.read_text(encoding="utf-8"))["Service"]
    started = [*service.get("ExecStartPre", []), *service["ExecStart"]]
    for line in started:
        program, command, *options = line.split()
        assert program == "/opt/idp/bin/idp"
        known = cli.main.get_command(None, command)  # type: ignore[arg-type]
        assert known is not None, line
        flags = {flag for one in known.params for flag in one.opts}
        assert {word for word in options if word.startswith("--")} <= flags


def test_a_reload_may_replace_the_main_process_and_a_stop_may_finish() -> None:
    from idp.server.process import KILL_SECONDS

    service = parsed((DEPLOY / "systemd" / "idp.service").read_text(encoding="utf-8"))["Service"]
    assert service["Type"] == ["notify"]
    assert service["NotifyAccess"] == ["all"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert int(service["TimeoutStopSec"][0]) > KILL_SECONDS


def test_the_example_of_settings_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (DEPLOY / "systemd" / "idp.env.example").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert {f"IDP_{name.upper()}" for name in Settings().model_fields_set} == given.keys()


def test_the_function_of_the_guide_runs_commands_with_the_settings_of_the_service(
    tmp_path: Path,
) -> None:
    (block,) = re.findall(
        r"^idp\(\) \(\n.*?^\)\n", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    program = tmp_path / "opt" / "idp" / "bin" / "idp"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nenv\necho "$@"\n')
    program.chmod(0o755)
    settings = tmp_path / "etc" / "idp" / "idp.env"
    settings.parent.mkdir(parents=True)
    shutil.copyfile(DEPLOY / "systemd" / "idp.env.example", settings)
    placed = re.sub(r"(?<![\w.])/(etc|opt)/", rf"{tmp_path}/\1/", block)
    done = subprocess.run(
        ["sh", "-eu", "-c", f"{placed}\nidp keys list"],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "keys list"
    given = {line.split("=")[0] for line in lines if line.startswith("IDP_")}
    units = environment(DEPLOY / "systemd" / "idp.service").keys()
    assert given == units | set(re.findall(r"^(IDP_\w+)=", settings.read_text(), re.MULTILINE))


@EACH
def test_systemd_can_read_the_unit(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    text = path.read_text(encoding="utf-8")
    copy.write_text(text.replace("/opt/idp/bin/idp", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        verifying("verify", str(copy)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert path.name not in done.stderr, done.stderr


@EACH
def test_systemd_finds_little_exposure(path: Path) -> None:
    command = verifying("security", "--offline=true", f"--threshold={WORST}", str(path))
    if b"--offline" not in subprocess.run(verifying("--help"), capture_output=True).stdout:
        pytest.skip("this systemd-analyze does not examine files")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
