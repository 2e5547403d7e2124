"""Programs of others that come as packages of Debian, unpacked once for each environment."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SECONDS = 120


def unpacked(*packages: str) -> Path:
    """Unpack packages without installing them; return the folder, or skip the test."""
    missing = [program for program in ("apt-get", "dpkg") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not a Debian: there is no {' and no '.join(missing)}")
    wanted = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:16]
    folder = Path(sys.executable).parent.parent / "debian-tools" / wanted
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _run(["apt-get", "download", *packages], folder)
            for package in sorted(folder.glob("*.deb")):
                _run(["dpkg", "-x", package, folder], folder)
            (folder / "done").touch()
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return what unpacked programs find each other and their libraries by."""
    libraries = ":".join(str(path) for path in folder.glob("usr/lib/*-linux-gnu"))
    path = f"{folder / 'usr' / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "LD_LIBRARY_PATH": libraries}


def _run(command: Sequence[str | Path], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} takes longer than {SECONDS} s")
    if done.returncode:
        pytest.skip(f"{command[0]} gets no packages: {done.stderr[-300:]}")
