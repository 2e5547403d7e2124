"""Stolen passwords: a file of the beginnings of their SHA-1 digests, sorted, searched in place."""

from __future__ import annotations

import mmap
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from typing import IO, NamedTuple, overload

from idp.platform.errors import Unavailable
from idp.platform.translation import N_
from idp.setting_values import BREACHED_MAGIC as MAGIC

WIDTH = 8
"""Bytes of a digest that are kept. Beside a thousand million digests, one password in 18 thousand
million that is not stolen has the beginning of one that is."""
PARTS = 256
UNREADABLE = N_("Passwords cannot be set at the moment. Please try again later.")
_HEX_DIGITS = 40
_LONGEST_LINE = 200
_LETTERS = frozenset("0123456789abcdefABCDEF")


class WrongLineError(ValueError):
    """A line that is no digest; the message has its number."""


class WrongFileError(ValueError):
    """A file that `write` did not make."""


class Counts(NamedTuple):
    """How many passwords were read and written."""

    read: int
    written: int


class _Sorted(Sequence[bytes]):
    """The digests of a file, without reading it as a whole."""

    def __init__(self, path: Path) -> None:
        """Map the file into memory; WrongFileError if it is none of ours."""
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                message = f"{path} was not made by `idp passwords prepare`"
                raise WrongFileError(message)
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._length, rest = divmod(len(self._content) - len(MAGIC), WIDTH)
        if rest:
            message = f"{path} is not complete"
            raise WrongFileError(message)

    def __len__(self) -> int:
        """Return how many digests there are."""
        return self._length

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Return one digest."""
        assert isinstance(index, int)  # noqa: S101 - bisection asks for nothing else
        start = len(MAGIC) + index * WIDTH
        return self._content[start : start + WIDTH]


def contains(path: Path, password: str) -> bool:
    """Return whether a password is among the stolen ones of a file.

    Raise Unavailable when the file is gone or is none of ours: it was replaced while we run.
    """
    digest = sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()[:WIDTH]
    try:
        known = _opened(path, _state(path))
    except (OSError, WrongFileError) as problem:
        raise Unavailable(UNREADABLE, debug=str(problem)) from None
    place = bisect_left(known, digest)
    return place < len(known) and known[place] == digest


def write(lines: Iterable[str], target: IO[bytes], folder: Path, *, seen: int = 1) -> Counts:
    """Write the digests of lines `SHA1` or `SHA1:COUNT`, in any order, each of them once.

    Only those that were seen so many times; a line without a count was seen once. The digests are
    sorted in parts of equal beginnings, kept in a folder, so memory holds one of 256 at a time.
    """
    read = written = 0
    with ExitStack() as stack:
        apart = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        parts = [stack.enter_context((apart / str(number)).open("w+b")) for number in range(PARTS)]
        for digest in _digests(lines, seen):
            parts[digest[0]].write(digest)
            read += 1
        target.write(MAGIC)
        for part in parts:
            part.seek(0)
            content = _in_order(part.read())
            written += len(content) // WIDTH
            target.write(content)
    return Counts(read, written)


def _digests(lines: Iterable[str], seen: int) -> Iterator[bytes]:
    for number, line in enumerate(lines, 1):
        text, _, count = line.strip().partition(":")
        if not text and not count:
            continue
        is_digest = len(text) == _HEX_DIGITS and _LETTERS.issuperset(text)
        is_counted = not count or (len(count) < _LONGEST_LINE and count.isdecimal())
        if not is_digest or not is_counted:
            message = (
                f"Line {number} is not a SHA-1 digest, alone or followed by a colon and a count."
            )
            raise WrongLineError(message)
        if int(count or 1) >= seen:
            yield bytes.fromhex(text)[:WIDTH]


def _in_order(content: bytes) -> bytes:
    """Sort digests and drop those that are there twice."""
    numbers = array("Q", content)
    numbers.byteswap()  # as written, the first byte counts most
    ordered = array("Q", sorted(set(numbers)))
    ordered.byteswap()
    return ordered.tobytes()


def _state(path: Path) -> tuple[int, int]:
    """Return what changes when a file is replaced."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@lru_cache(maxsize=2)
def _opened(path: Path, state: tuple[int, int]) -> _Sorted:
    del state
    return _Sorted(path)
