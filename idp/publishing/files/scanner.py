"""The hook of a virus scanner: clamd by its socket, or any command that reads standard input."""

from __future__ import annotations

import os
import shlex
import socket
import struct
import subprocess
from typing import IO
from urllib.parse import urlsplit

from idp.platform.errors import Unavailable
from idp.platform.translation import N_

SECONDS = 60
PIECE = 64 * 1024
LONGEST_REPLY = 4096
_INFECTED = 1


def is_clean(scanner: str, stream: IO[bytes]) -> bool:
    """Scan a file; without a scanner every file is clean, without its answer none is."""
    if not scanner:
        return True
    stream.seek(0)
    try:
        if scanner.startswith(("unix:", "tcp://")):
            return _ask_clamd(scanner, stream)
        return _run(scanner, stream)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise _silent(type(error).__name__) from None
    finally:
        stream.seek(0)


def _ask_clamd(address: str, stream: IO[bytes]) -> bool:
    """Send a file by clamd's INSTREAM: pieces with their length, an empty one at the end."""
    with _connect(address) as connection:
        connection.settimeout(SECONDS)
        connection.sendall(b"zINSTREAM\0")
        while piece := stream.read(PIECE):
            connection.sendall(struct.pack("!I", len(piece)) + piece)
        connection.sendall(struct.pack("!I", 0))
        reply = b""
        while not reply.endswith(b"\0") and len(reply) < LONGEST_REPLY:
            received = connection.recv(LONGEST_REPLY)
            if not received:
                break
            reply += received
    if reply == b"stream: OK\0":
        return True
    if reply.endswith(b" FOUND\0"):
        return False
    raise _silent("an invalid answer")


def _connect(address: str) -> socket.socket:
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS)
        try:
            connection.connect(address.removeprefix("unix:"))
        except OSError:
            connection.close()
            raise
        return connection
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname or "", parts.port or 3310), timeout=SECONDS)


def _run(command: str, stream: IO[bytes]) -> bool:
    """Run a command of the operator on the content; it gets neither names nor secrets."""
    code = subprocess.run(  # noqa: S603 - a setting of the operator
        shlex.split(command),
        env={name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
        input=stream.read(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=SECONDS,
        check=False,
    ).returncode
    if code not in {0, _INFECTED}:
        raise _silent(f"exit code {code}")
    return code != _INFECTED


def _silent(debug: str) -> Unavailable:
    return Unavailable(N_("The virus scanner is not responding; try again."), debug=debug)
