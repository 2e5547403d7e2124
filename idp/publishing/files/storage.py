"""Where the content of files lies: a folder of this machine, or a bucket somewhere else."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from idp import private_files
from idp.config import Settings, SettingsError
from idp.platform.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PIECE = 64 * 1024
BUCKET_SECONDS = timedelta(seconds=30)


class Store(Protocol):
    """Keeps contents under names of ours: hexadecimal digits and an extension."""

    def put(self, name: str, stream: IO[bytes], headers: dict[str, str]) -> None:
        """Keep a content, wholly or not at all; a bucket gives it out with these headers."""

    def read(self, name: str) -> bytes:
        """Give a content; NotFound when there is none."""

    def delete(self, name: str) -> None:
        """Forget a content, if there is one."""


def open_store(settings: Settings) -> Store:
    """Open what `IDP_FILES_URL` names."""
    return _open(settings.files_url, settings.files_dir.absolute())


@cache
def _open(url: str, folder: Path) -> Store:
    return Bucket.at(url) if url else Folder(folder)


@dataclass(frozen=True, slots=True)
class Folder:
    """Files below one folder, spread over 256 more."""

    root: Path

    def put(self, name: str, stream: IO[bytes], _headers: dict[str, str]) -> None:
        """Write beside, then rename: whoever reads never sees half a file."""
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
            raise _failed(error) from None

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


@dataclass(frozen=True, slots=True)
class Bucket:
    """Objects of an S3, GCS or Azure bucket."""

    store: ObjectStore

    @classmethod
    def at(cls, url: str) -> Bucket:
        """Open a bucket; what stands after `?` is configuration in obstore's words."""
        try:
            from obstore.store import from_url  # noqa: PLC0415 - of an extra
        except ImportError:
            message = "IDP_FILES_URL needs the extra `objects`: pip install 'idp[objects]'"
            raise SettingsError(message) from None
        parts = urlsplit(url)
        config: Any = dict(parse_qsl(parts.query))
        is_plain = config.get("endpoint", "").startswith("http://")
        try:
            store = from_url(
                parts._replace(query="").geturl(),
                config=config,
                client_options={"timeout": BUCKET_SECONDS, "allow_http": is_plain},
                retry_config={"max_retries": 2, "retry_timeout": BUCKET_SECONDS},
            )
        except Exception as error:  # noqa: BLE001 - it says what it cannot use in many ways
            message = f"IDP_FILES_URL cannot be used ({type(error).__name__})"
            raise SettingsError(message) from None
        return cls(store)

    def put(self, name: str, stream: IO[bytes], headers: dict[str, str]) -> None:
        """Send an object in one request, so that there is never a part of it."""
        try:
            self.store.put(name, stream, attributes=headers, use_multipart=False)
        except _errors() as error:
            raise _failed(error) from None

    def read(self, name: str) -> bytes:
        """Fetch an object."""
        try:
            return self.store.get(name).bytes().to_bytes()
        except FileNotFoundError:
            raise NotFound from None
        except _errors() as error:
            raise _failed(error) from None

    def delete(self, name: str) -> None:
        """Remove an object."""
        try:
            self.store.delete(name)
        except FileNotFoundError:
            return
        except _errors() as error:
            raise _failed(error) from None


def _errors() -> tuple[type[Exception], ...]:
    from obstore.exceptions import BaseError  # noqa: PLC0415 - of an extra

    return BaseError, OSError


def _failed(error: Exception) -> Unavailable:
    # What a bucket says may hold its address and the name of a key: only the kind is told.
    debug = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else None
    return Unavailable(
        "The file cannot be kept or read now; try again.", debug=debug or type(error).__name__
    )
