"""The file of a backup: a tar archive of the database, uploaded files and a sealed manifest."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import IO, Any, Protocol

from idp.platform.errors import Conflict
from idp.platform.secrets import Keyring
from idp.recovery import manifest as manifests
from idp.recovery.manifest import Manifest, Member

DATABASE = "database"
FILES = "files/"
MANIFEST = "manifest.json"
SEAL = "manifest.seal"
PIECE = 1024 * 1024
MOST_MANIFEST_BYTES = 256 * 1024 * 1024
_NAME = re.compile(rf"{DATABASE}|{FILES}([0-9a-f]{{2}})/\1[0-9a-f]{{30}}\.[a-z0-9]{{2,5}}")


def member_of(name: str) -> str:
    """Return the member that holds an uploaded file, in the layout of the folder of files."""
    return f"{FILES}{name[:2]}/{name}"


class Sink(Protocol):
    """What an archive is written to, such as a file or a pipe."""

    def write(self, data: bytes, /) -> object:
        """Write some bytes."""


class _Counted(RawIOBase):
    """A sink that knows how much was written, which is all that `tarfile` asks of it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._written = 0

    def write(self, data: Any, /) -> int:
        """Write some bytes."""
        self._sink.write(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how much was written."""
        return self._written


class _Hashed:
    """A stream that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        piece = self._stream.read(size)
        self.hash.update(piece)
        return piece


class Writer:
    """Writes an archive, whose manifest comes last: what was cut off has none."""

    def __init__(self, sink: Sink) -> None:
        self._tar = tarfile.TarFile(mode="w", fileobj=_Counted(sink), format=tarfile.PAX_FORMAT)
        self._members: dict[str, Member] = {}

    def add(self, name: str, stream: IO[bytes], size: int) -> None:
        """Add a member with the next so many bytes of a stream."""
        hashed = _Hashed(stream)
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._tar.addfile(info, hashed)
        self._members[name] = Member(size=size, sha256=hashed.hash.hexdigest())

    def finish(self, manifest: Manifest, keyring: Keyring) -> None:
        """Add the manifest with its seal, and write the end of the archive."""
        text = manifest.model_copy(update={"members": self._members}).model_dump_json(indent=1)
        for name, content in ((MANIFEST, text), (SEAL, manifests.seal(keyring, text))):
            encoded = content.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(encoded), 0o600
            self._tar.addfile(info, BytesIO(encoded))
        self._tar.close()


class Reader:
    """A backup whose manifest was proven; `check` proves the rest."""

    def __init__(self, tar: tarfile.TarFile, keyring: Keyring) -> None:
        self._tar = tar
        self._infos: dict[str, tarfile.TarInfo] = {}
        for info in tar:
            if info.name in self._infos or not info.isreg():
                raise _altered(info.name)
            self._infos[info.name] = info
        if SEAL not in self._infos or MANIFEST not in self._infos:
            raise Conflict("The backup is cut off: it has no manifest.")
        self.manifest = manifests.read(keyring, self._text(MANIFEST), self._text(SEAL))
        found = self._infos.keys() - {MANIFEST, SEAL}
        wrong = found ^ self.manifest.members.keys()
        wrong |= {name for name in found if not _NAME.fullmatch(name)}
        if wrong or DATABASE not in found:
            raise _altered(min(wrong, default=DATABASE))

    def check(self) -> None:
        """Read all of it; Conflict unless every member is what the manifest says."""
        for name, member in self.manifest.members.items():
            hashed = _Hashed(self.open(name))
            while hashed.read(PIECE):
                pass
            if (self._infos[name].size, hashed.hash.hexdigest()) != (member.size, member.sha256):
                raise _altered(name)

    def open(self, name: str) -> IO[bytes]:
        """Open a member."""
        found = self._tar.extractfile(self._infos[name])
        if found is None:
            raise _altered(name)
        return found

    def files(self) -> list[str]:
        """List the names of the uploaded files."""
        return [name.rpartition("/")[2] for name in self.manifest.members if name != DATABASE]

    def _text(self, name: str) -> str:
        if self._infos[name].size > MOST_MANIFEST_BYTES:
            raise _altered(name)
        return self.open(name).read().decode(errors="replace")


@contextmanager
def reading(path: Path, keyring: Keyring) -> Iterator[Reader]:
    """Open a backup; Conflict if it is cut off, altered or of another root secret."""
    try:
        with tarfile.open(path, mode="r:") as tar:
            yield Reader(tar, keyring)
    except (tarfile.TarError, EOFError):
        raise Conflict(f"{path} is no backup of idp, or it is cut off.") from None


def _altered(name: str) -> Conflict:
    return Conflict(f"The backup was altered: {name!r} is not what its manifest says.")
