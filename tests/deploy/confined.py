"""Run a program as the units for systemd confine it: confined.py NUMBERS PROGRAM ARGUMENTS.

NUMBERS is a file with the numbers of the system calls that are allowed; others fail with EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

_SECCOMP, _FILTER, _NO_NEW_PRIVILEGES, _MDWE = 22, 2, 38, 65
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EPERM


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def _program(numbers: list[int]) -> bytes:
    lines = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for number in numbers:
        lines += [
            struct.pack("HBBI", _EQUAL, 0, 1, number),
            struct.pack("HBBI", _RETURN, 0, 0, _ALLOW),
        ]
    return b"".join([*lines, struct.pack("HBBI", _RETURN, 0, 0, _FAIL)])


def main(numbers: str, program: str, *arguments: str) -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    content = _program([int(word) for word in Path(numbers).read_text().split()])
    filtering = _Program(len(content) // 8, content)
    for number, value, more in (
        (_NO_NEW_PRIVILEGES, 1, 0),
        (_MDWE, 1, 0),
        (_SECCOMP, _FILTER, ctypes.byref(filtering)),
    ):
        if prctl(number, value, more, 0, 0):
            sys.exit(f"prctl {number}: {os.strerror(ctypes.get_errno())}")
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
