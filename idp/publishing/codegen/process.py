"""Third-party programs, run within limits of time, memory, output and network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from idp import private_files
from idp.platform.errors import Unavailable
from idp.platform.translation import N_

POLL_SECONDS = 0.1
LOOK_SECONDS = 0.5
PROGRESS_SECONDS = 2.0
LOG_TAIL = 8_000
LEAST_ROOM = 256 * 1024 * 1024
"""Bytes that must be free before a program starts."""
LEAST_LEFT = 64 * 1024 * 1024
"""Bytes that a program must leave free for others."""
STALE_SECONDS = 3600
"""Age from which a folder is certainly abandoned."""
MAX_FILES = 20_000
DISK_FULL = "The disk is full."
NOT_CUT_OFF = "This system cannot isolate it from the network."

_LAUNCHER = Path(__file__).with_name("limits.py")
_PREFIX = "work-"
_NOT_BEGUN = 97
"""Exit code of `limits.py` when it did not start the program."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use."""

    seconds: int
    """Of wall time, and of processor time as well."""
    output_bytes: int
    """Of all files together; one alone may not be larger either."""
    memory_bytes: int | None = None
    """Of address space; None for programs that reserve more than they use."""
    network: bool = False
    may_keep_network: bool = True
    """Whether it may run where the system cannot isolate it from the network."""

    @property
    def reach(self) -> str:
        """The NETWORK argument of `limits.py`."""
        if self.network:
            return "online"
        return "offline" if self.may_keep_network else "never-online"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    code: int
    log: str
    stopped: str = ""
    """Why it was stopped; empty: it ended by itself."""

    @property
    def is_fine(self) -> bool:
        """Whether it ended by itself without an error."""
        return self.code == 0 and not self.stopped


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """Create a work folder that is removed afterwards, whatever happens."""
    private_files.make_folder(parent)
    _remove_stale(parent)
    if shutil.disk_usage(parent).free < LEAST_ROOM:
        raise Unavailable(N_("The disk is too full to start."))
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent.resolve()))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def run(
    command: Sequence[str | Path],
    work: Path,
    limits: Limits,
    *,
    environment: Mapping[str, str] | None = None,
    on_progress: Callable[[str], None] = lambda _log: None,
) -> Outcome:
    """Run a program in a folder and wait for its end, or stop it at a limit.

    It has a clean environment and its own process group; its output goes to a log beside its
    files, so that it counts towards the limit too.
    """
    log = work / "log"
    temporary = work / "tmp"
    temporary.mkdir(exist_ok=True)
    child = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(work),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        **(environment or {}),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - programs that we name, without a shell
            [
                *(sys.executable, "-I", "-S", _LAUNCHER, json.dumps(_resources(limits))),
                *(limits.reach, *command),
            ],
            cwd=work,
            env=child,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        stopped = _watch(process, work, limits, lambda: on_progress(_tail(log)))
    finally:
        _kill(process)
    if process.returncode == _NOT_BEGUN and not limits.may_keep_network:
        stopped = NOT_CUT_OFF
    return Outcome(process.returncode, _tail(log), stopped)


def _watch(
    process: subprocess.Popen[bytes], work: Path, limits: Limits, progress: Callable[[], None]
) -> str:
    """Wait for the end; return the limit that was exceeded, if any."""
    begun = looked = reported = time.monotonic()
    while True:
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        else:
            break
        if now - begun > limits.seconds:
            return f"It was stopped after {limits.seconds} seconds."
        if now - looked > LOOK_SECONDS:
            looked = now
            if shutil.disk_usage(work).free < LEAST_LEFT:
                return DISK_FULL
            if _is_too_much(work, limits):
                return _too_much(limits)
        if now - reported > PROGRESS_SECONDS:
            reported = now
            progress()
    return _too_much(limits) if _is_too_much(work, limits) else ""


def _is_too_much(work: Path, limits: Limits) -> bool:
    """Return whether the files are too many, or too large in total."""
    total = count = 0
    for parent, _, names in os.walk(work):
        for name in names:
            count += 1
            try:
                total += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:
                continue
            if total > limits.output_bytes or count > MAX_FILES:
                return True
    return False


def _too_much(limits: Limits) -> str:
    return f"It wrote more than {limits.output_bytes // 1024**2} MiB or {MAX_FILES} files."


def _resources(limits: Limits) -> dict[str, int]:
    resources = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": limits.seconds,
        "RLIMIT_FSIZE": limits.output_bytes,
    }
    if limits.memory_bytes is not None:
        resources["RLIMIT_AS"] = limits.memory_bytes
    return resources


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program with every process that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_TAIL))
        text = file.read().decode(errors="replace")
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def _remove_stale(parent: Path) -> None:
    """Remove the folders that a killed worker left."""
    for path in parent.glob(f"{_PREFIX}*"):
        try:
            is_stale = time.time() - path.stat().st_mtime > STALE_SECONDS
        except FileNotFoundError:
            continue
        if is_stale:
            shutil.rmtree(path, ignore_errors=True)
