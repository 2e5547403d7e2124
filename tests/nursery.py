"""A process that has imported what `idp` imports; servers and commands are forks of it.

It runs nothing else, and hashes passwords cheaply. Servers find templates that another
one compiled. Each request is one message: arguments, environment and folder as JSON, with the files
for output and errors, and the end of a pipe that the exit code is written to.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from flask import Flask
from jinja2 import FileSystemBytecodeCache

from tests import hashes

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-c", "from idp.cli import main; main()"]
_LARGEST = 64 * 1024
_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def dies_with_us(number: int) -> Callable[[], None] | None:
    """Make a child end when this process is killed, where the kernel can do that."""
    if sys.platform != "linux":
        return None
    pdeathsig, libc = 1, ctypes.CDLL(None)
    return lambda: libc.prctl(pdeathsig, number)


# The side of the tests.


class Child:
    """A process that the nursery forked; like `subprocess.Popen`, as far as servers need it."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("idp serve", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to a process that has not ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], seconds)[0]:
            said = os.read(self._ended, 16)
            os.close(self._ended)
            self.returncode = int(said) if said else -signal.SIGKILL  # the nursery is gone
        return self.returncode


class Nursery:
    """The process, started when it is first asked; it ends with this one."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `idp` with these arguments to its end, as `subprocess.run` does."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            child = self.start(arguments, environment, folder, output, errors)
            try:
                code = child.wait(timeout)
            except subprocess.TimeoutExpired:
                child.kill()
                raise
            said = [file.seek(0) or file.read() for file in (output, errors)]
        return subprocess.CompletedProcess(["idp", *arguments], code, *said)

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        output: IO[Any],
        errors: IO[Any] | None = None,
    ) -> Child:
        """Start `idp` with these arguments in a session of its own; errors go to the output."""
        read, write = os.pipe()
        message = {"arguments": [*arguments], "environment": {**environment}, "folder": str(folder)}
        files = [output.fileno(), (errors or output).fileno(), write]
        with self._turn:
            if self._socket is None:
                self._socket = self._make()
            socket.send_fds(self._socket, [json.dumps(message).encode()], files)
            pid = int(self._socket.recv(16))
        os.close(write)
        return Child(pid, read)

    def _make(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return ours


NURSERY = Nursery()
"""The one of this process."""


_PROGRAM = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
    door.connect({door!r})
    message = {{"arguments": sys.argv[1:], "environment": {{**os.environ}}, "folder": os.getcwd()}}
    socket.send_fds(door, [json.dumps(message).encode()], [1, 2])
    sys.exit(int(door.recv(16) or 1))
"""


@contextlib.contextmanager
def program(path: Path) -> Iterator[None]:
    """Write a program `idp` for shells, which runs as a fork of the nursery; it reads no input."""
    path.parent.mkdir(parents=True, exist_ok=True)
    door = path.with_name("door")
    path.write_text(_PROGRAM.format(python=sys.executable, door=str(door)))
    path.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(door))
        listening.listen()
        thread = threading.Thread(target=_run_for_shells, args=(listening,))
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)  # ends the wait for the next one
            thread.join()


def _run_for_shells(listening: socket.socket) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            data, files, _, _ = socket.recv_fds(connection, _LARGEST, 2)
            asked = json.loads(data)
            with os.fdopen(files[0], "wb") as output, os.fdopen(files[1], "wb") as errors:
                child = NURSERY.start(
                    asked["arguments"], asked["environment"], asked["folder"], output, errors
                )
            connection.send(str(child.wait()).encode())


# The side of the nursery.


def main(requests: socket.socket) -> None:
    """Fork what is asked for until nobody can ask any more, and report what ended."""
    for name in (
        *("idp.commands.serve", "idp.commands.setup", "idp.app", "idp.platform.postgres"),
        *("alembic.command", "redis"),
    ):
        importlib.import_module(name)
    hashes.hash_quickly()
    with tempfile.TemporaryDirectory(prefix="idp-templates-") as templates:
        Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(templates)}
        _tend(requests)


def _tend(requests: socket.socket) -> None:
    waking, woken = os.pipe()
    for end in (waking, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests, waking], [], [])
        if waking in ready:
            os.read(waking, 1024)
            _report(running)
        if requests in ready:
            data, files, _, _ = socket.recv_fds(requests, _LARGEST, 3)
            if not data:
                return
            output, errors, ended = files
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                for end in (waking, woken, requests.fileno(), ended, *running.values()):
                    os.close(end)
                _become(json.loads(data), output, errors)
            os.close(output)
            os.close(errors)
            running[pid] = ended
            requests.send(str(pid).encode())


def _report(running: dict[int, int]) -> None:
    for pid, ended in [*running.items()]:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            del running[pid]
            with contextlib.suppress(BrokenPipeError):
                os.write(ended, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(ended)


def _become(request: Mapping[str, Any], output: int, errors: int) -> None:
    """Go on as the command that was asked for."""
    code = 1
    try:
        os.setsid()
        prepare = dies_with_us(signal.SIGTERM)
        if prepare is not None:
            prepare()
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for file, place in ((output, 1), (errors, 2)):
            os.dup2(file, place)
            os.close(file)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        # A server that is to take over is started with these.
        sys.argv = ["-c", *request["arguments"]]
        sys.orig_argv = [*COMMAND, *request["arguments"]]
        from idp.cli import main as command

        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the interpreter would print it too
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
