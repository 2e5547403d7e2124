"""Making a backup: database, uploaded files and manifest in one file, or none at all."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from sqlalchemy import Connection, select

from idp.config import Settings
from idp.platform.errors import Conflict, NotFound, Unavailable
from idp.platform.runtime import Runtime
from idp.publishing.files import storage
from idp.publishing.files.models import StoredFile
from idp.recovery import manifest as manifests
from idp.recovery import snapshots
from idp.recovery.archive import DATABASE, Sink, Writer, member_of
from idp.recovery.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made."""

    manifest: Manifest
    files: int
    missing_files: int
    """Uploaded files that have a row and no content."""


def to_file(runtime: Runtime, path: Path, *, with_files: bool) -> Made:
    """Write a backup to a file that only its owner can read; it is there whole or not at all."""
    _refuse_bucket(runtime.settings, with_files=with_files)
    if path.exists():
        raise Conflict(f"{path} exists already; a backup replaces no file.")
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with _explained(str(path)):
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as to:
                made = _write(runtime, to, path.parent, with_files=with_files)
                to.flush()
                os.fsync(to.fileno())
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
    return made


def to_stream(runtime: Runtime, sink: Sink, *, with_files: bool) -> Made:
    """Write a backup to a pipe; the database is copied to the folder for temporary files first."""
    _refuse_bucket(runtime.settings, with_files=with_files)
    with _explained("the pipe"):
        return _write(runtime, sink, None, with_files=with_files)


def _write(runtime: Runtime, sink: Sink, beside: Path | None, *, with_files: bool) -> Made:
    """Copy the database to a temporary folder, then write the archive."""
    with tempfile.TemporaryDirectory(prefix=".idp-", dir=beside) as folder:
        copy = Path(folder) / DATABASE
        with snapshots.taken(runtime.engine, copy) as connection:
            manifest = snapshots.describe(connection, manifests.fingerprint(runtime.keyring))
            names = _file_names(connection) if with_files else []
        writer = Writer(sink)
        with copy.open("rb") as stream:
            writer.add(DATABASE, stream, copy.stat().st_size)
        missing = sum(not _add_file(writer, runtime.settings, name) for name in names)
        writer.finish(manifest, runtime.keyring)
    return Made(manifest, len(names) - missing, missing)


def _refuse_bucket(settings: Settings, *, with_files: bool) -> None:
    if with_files and settings.files_url:
        raise Conflict("The files are in a bucket (IDP_FILES_URL): copy the bucket by its means.")


def _file_names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(StoredFile.name).order_by(StoredFile.id)))


def _add_file(writer: Writer, settings: Settings, name: str) -> bool:
    """Add an uploaded file; return False if it has gone since the database was copied."""
    try:
        content = storage.open_store(settings).read(name)
    except NotFound:
        return False
    writer.add(member_of(name), BytesIO(content), len(content))
    return True


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Report a full disk, a closed pipe and the like in one sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"The database cannot be copied: {error}. No backup was made.") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(
            f"The backup cannot be written to {place}: {reason}. No backup was made."
        ) from None


def sync_folder(folder: Path) -> None:
    """Put the new name of a file on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
