"""idp sets up, serves and stops with the system calls and the memory that its units allow."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.conftest import SECRET_KEY
from tests.deploy.files import DEPLOY
from tests.servers import LiveServer, clean_environment, free_port, short_dir

pytestmark = pytest.mark.no_database

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
CONFINED = Path(__file__).with_name("confined.py")
IDP = str(Path(sys.executable).with_name("idp"))
_MDWE_SINCE = (6, 3)


def groups() -> dict[str, set[str]]:
    """Return the names of system calls in each group of systemd, and the groups in it."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: the groups of system calls are not known")
    text = subprocess.run(
        [program, "--no-pager", "syscall-filter"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
            found[name] = set()
        elif line.startswith(" ") and not line.strip().startswith("#"):
            found[name].add(line.strip())
    return found


def names_in(group: str, known: dict[str, set[str]]) -> set[str]:
    return {
        name
        for member in known[group]
        for name in (names_in(member, known) if member.startswith("@") else {member})
    }


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """A file with the numbers of the calls that `idp.service` allows."""
    release = tuple(int(part) for part in platform.release().split(".")[:2])
    if platform.machine() != "x86_64" or not HEADER.is_file():
        pytest.skip("the numbers of system calls are not known here (x86_64 and linux-libc-dev)")
    if release < _MDWE_SINCE:
        pytest.skip("this kernel cannot forbid memory that is written and executed")
    known = groups()
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text()))
    filters = re.findall(
        r"^SystemCallFilter=(.+)$", (DEPLOY / "systemd/idp.service").read_text(), re.MULTILINE
    )
    # systemd itself adds what a process needs to start and to end.
    names = names_in("@default", known)
    for line in filters:
        if line.startswith("~"):
            names -= names_in(line[1:], known)
        else:
            names |= names_in(line, known)
    assert not {"mount", "ptrace", "setuid", "chroot", "bpf"} & names
    file = tmp_path / "allowed"
    file.write_text(" ".join(sorted(numbers[name] for name in names if name in numbers)))
    return file


def test_what_the_units_forbid_fails(allowed: Path) -> None:
    tries = (
        "import os, mmap, ctypes\n"
        "for what in (lambda: os.setuid(0), lambda: os.chroot('/'),"
        " lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)):\n"
        "    try: what()\n"
        "    except PermissionError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, CONFINED, allowed, sys.executable, "-c", tries],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["refused"] * 3, done.stderr


def all_is_answered(server: LiveServer) -> None:
    for path in ("/readyz", "/.well-known/openid-configuration", "/forgot"):
        with urllib.request.urlopen(server.url + path) as answer:
            assert answer.status == 200, path


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 40
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_server_needs_nothing_that_the_units_forbid(allowed: Path, tmp_path: Path) -> None:
    port = free_port()
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET_KEY}\n")
    secret.chmod(0o600)
    environment = {
        **clean_environment(),
        "IDP_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "IDP_SECRET_KEY_FILE": str(secret),
        "IDP_DATA_DIR": str(tmp_path / "data"),
        "IDP_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
    }
    confined = [sys.executable, str(CONFINED), str(allowed), IDP]
    made = subprocess.run(
        [*confined, "setup"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    address = str(short_dir() / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        server = LiveServer.start(
            {**environment, "NOTIFY_SOCKET": address},
            port=port,
            log=tmp_path / "log",
            command=confined,
            folder=tmp_path,
        )
        last = server.process.pid
        try:
            assert manager.recv(100) == b"MAINPID=%d\nREADY=1" % last
            all_is_answered(server)
            # As systemctl reload does: another process takes over, under the same filter.
            os.kill(last, signal.SIGHUP)
            last = int(manager.recv(100).split()[0].removeprefix(b"MAINPID="))
            assert server.process.wait(40) == 0
            all_is_answered(server)
            os.kill(last, signal.SIGTERM)
            wait_until_gone(last)
        finally:
            server.stop()
    assert server.output().count("server_stopped") == 2
    assert "Operation not permitted" not in server.output()
    assert "PermissionError" not in server.output()
