"""Values of settings that are kept in files, such as those that a container platform mounts."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LARGEST = 16 * 1024


def read(path: Path, *, private: bool) -> str:
    """Return the line that a file consists of; ValueError says what is wrong, never what it holds.

    The path is not in the message either: by mistake it may be the secret itself. With `private`
    a file that other users can read or write is refused.
    """
    try:
        return _line(_content(path, private=private))
    except OSError as error:
        message = f"the file cannot be read ({os.strerror(error.errno or 0)})"
        raise ValueError(message) from None


def _content(path: Path, *, private: bool) -> bytes:
    # Without O_NONBLOCK a named pipe would hold the start up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(descriptor, private=private)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        message = f"the file has more than {LARGEST:,} bytes"
        raise ValueError(message)
    return content


def _check(descriptor: int, *, private: bool) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        message = "must name a regular file"
        raise ValueError(message)
    if private and mode & stat.S_IRWXO and not _is_on_read_only_mount(descriptor):
        message = (
            f"other users can use the file (mode {stat.S_IMODE(mode):04o});"
            " set its mode to 0600, or to 0640 with the group of the service"
        )
        raise ValueError(message)


def _is_on_read_only_mount(descriptor: int) -> bool:
    """Return whether the mode is that of a container platform, which nobody inside can change."""
    return bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)


def _line(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        message = "the file is not text in UTF-8"
        raise ValueError(message) from None
    line = text.removesuffix("\n").removesuffix("\r")
    if not line.strip():
        message = "the file is empty"
        raise ValueError(message)
    if any(char in line for char in "\n\r\0"):
        message = "the file must hold the value alone, on one line"
        raise ValueError(message)
    return line
