"""Where the content of files is stored: a folder of this machine, or a bucket."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Protocol

from idp import private_files
from idp.config import Settings, SettingsError
from idp.platform.errors import NotFound, Unavailable
from idp.platform.translation import N_

PIECE = 64 * 1024


class Store(Protocol):
    """Stores contents under generated names: hexadecimal digits and an extension."""

    def put(self, name: str, stream: IO[bytes], headers: dict[str, str]) -> None:
        """Store a content, completely or not at all; a bucket serves it with these headers."""

    def read(self, name: str) -> bytes:
        """Return a content; NotFound when there is none."""

    def delete(self, name: str) -> None:
        """Remove a content, if there is one."""


def open_store(settings: Settings) -> Store:
    """Open what `IDP_FILES_URL` names."""
    return _open(settings.files_url, settings.files_dir.absolute())


@cache
def _open(url: str, folder: Path) -> Store:
    return _open_bucket(url) if url else Folder(folder)


def _open_bucket(url: str) -> Store:
    try:
        from idp.publishing.files.bucket import Bucket  # noqa: PLC0415 - needs an extra
    except ImportError:
        message = "IDP_FILES_URL needs the extra `objects`: pip install 'idp[objects]'"
        raise SettingsError(message) from None
    return Bucket.at(url)


@dataclass(frozen=True, slots=True)
class Folder:
    """Files below one folder, spread over 256 more."""

    root: Path

    def put(self, name: str, stream: IO[bytes], _headers: dict[str, str]) -> None:
        """Write a temporary file, then rename it: a reader never sees half a file."""
        path = self._path(name)
        draft = path.with_suffix(".part")
        try:
            private_files.make_folder(path.parent)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as to:
                shutil.copyfileobj(stream, to, PIECE)
                to.flush()
                os.fsync(to.fileno())
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise failed(error) from None

    def read(self, name: str) -> bytes:
        """Read a file."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound from None

    def delete(self, name: str) -> None:
        """Remove a file."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.root / name[:2] / name


def failed(error: Exception) -> Unavailable:
    """Return the refusal for a store that is not available now."""
    # Errors of a bucket may hold its address and the name of a key: only the type is logged.
    debug = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else None
    return Unavailable(
        N_("The file cannot be stored or read now; try again."), debug=debug or type(error).__name__
    )
