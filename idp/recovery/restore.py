"""Bringing a backup into an empty database: checked first, then all of it, or nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, make_url, select, text
from sqlalchemy.orm import Session

from idp import private_files
from idp import runtime as runtimes
from idp.config import Settings, sqlite_url
from idp.platform import revisions, rollout, steps
from idp.platform.errors import Conflict, NotFound, Problem, Unavailable
from idp.platform.runtime import RequestContext, Runtime
from idp.platform.secrets import Keyring
from idp.platform.signing import service as signing
from idp.publishing.files import service as files
from idp.publishing.files import storage
from idp.publishing.files.models import StoredFile
from idp.recovery import archive, programs, snapshots
from idp.recovery.archive import DATABASE, PIECE, Reader, member_of
from idp.recovery.backup import sync_folder
from idp.recovery.manifest import Manifest

Recovery = Callable[[Session, Manifest], None]
"""What is done to the restored database before anybody can use it."""
BATCH = 1000
_VERSION = "alembic_version"
_JOURNALS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that was restored."""

    manifest: Manifest
    files: int


def restore(settings: Settings, path: Path, recover: Recovery) -> Restored:
    """Restore a backup into the database of the settings, which has to be empty."""
    with _explained(), archive.reading(path, Keyring(settings.secret_keys)) as backup:
        is_sqlite = make_url(settings.database).get_backend_name() == "sqlite"
        _check_fit(backup.manifest, is_sqlite=is_sqlite)
        (_refuse_filled_file if is_sqlite else _refuse_filled)(settings.database)
        backup.check()
        (_restore_sqlite if is_sqlite else _restore_postgresql)(settings, backup, recover)
        return Restored(backup.manifest, len(backup.files()))


def _check_fit(manifest: Manifest, *, is_sqlite: bool) -> None:
    """Refuse a backup of a newer schema, or of another kind of database."""
    number = steps.number_of(manifest.revision)
    if not number or number != manifest.schema_number or number > steps.number():
        raise Conflict(
            f"The backup was made by a newer release of idp ({manifest.release}): restore it with"
            " that one."
        )
    if (manifest.database == "sqlite") != is_sqlite:
        raise Conflict(
            f"The backup is of {manifest.database}, and IDP_DATABASE_URL is not: restore it into a"
            " database of its kind, then move it with `idp db copy`."
        )


def _refuse_filled_file(database_url: str) -> None:
    """Refuse a file that is there, and journals that would be read into the restored one."""
    target = _path(database_url)
    for path in (target, *(target.with_name(target.name + suffix) for suffix in _JOURNALS)):
        if path.exists():
            raise Conflict(f"The target is not empty: move {path} away first.")


def _refuse_filled(database_url: str) -> None:
    with revisions.looking(database_url) as connection:
        found = inspect(connection).get_table_names()
    if found:
        raise Conflict(
            f"The target is not empty: {revisions.name(database_url)} has the table {min(found)}."
            " Create an empty database, and name it in IDP_DATABASE_URL."
        )


def _path(database_url: str) -> Path:
    return Path(make_url(database_url).database or "").absolute()


def _restore_sqlite(settings: Settings, backup: Reader, recover: Recovery) -> None:
    """Prepare the file under another name, and rename it when everything was done to it."""
    target = _path(settings.database)
    private_files.make_folder(target.parent)
    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    drafts = [draft, *(draft.with_name(draft.name + suffix) for suffix in _JOURNALS)]
    try:
        _extract(backup, draft)
        with snapshots.opened(draft) as connection:
            _check_file(connection)
            _check_rows(connection, backup.manifest)
        url = sqlite_url(draft)
        rollout.upgrade(url, contract=False)
        with _runtime(settings, url) as runtime, _added_files(runtime, backup):
            _recover(runtime, backup.manifest, recover)
            _put_in_place(runtime, draft, target)
    finally:
        for path in drafts:
            path.unlink(missing_ok=True)


def _put_in_place(runtime: Runtime, draft: Path, target: Path) -> None:
    """Name a complete file as the target; one that came meanwhile is not replaced."""
    runtime.engine.dispose()  # which writes the journal back
    with draft.open("rb+") as stream:
        os.fsync(stream.fileno())
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise Conflict(f"The target is not empty: move {target} away first.") from None
    sync_folder(target.parent)


def _restore_postgresql(settings: Settings, backup: Reader, recover: Recovery) -> None:
    """Load all tables but the one that makes the database usable, which is filled last."""
    with _runtime(settings, settings.database) as runtime:
        with tempfile.TemporaryDirectory(prefix="idp-") as folder:
            dumped, listed = Path(folder) / DATABASE, Path(folder) / "list"
            _extract(backup, dumped)
            lines = programs.contents(dumped)
            listed.write_text("".join(line for line in lines if not _fills_version(line)))
            programs.load(runtime.engine, dumped, listed)
        try:
            _finish_postgresql(runtime, backup, recover)
        except Problem as problem:
            raise Conflict(
                f"{problem.detail} The database cannot be used: drop it and create it again."
            ) from None


def _finish_postgresql(runtime: Runtime, backup: Reader, recover: Recovery) -> None:
    manifest = backup.manifest
    with runtime.engine.connect() as connection:
        _check_rows(connection, manifest, but=_VERSION)
    is_older = manifest.schema_number < steps.number()
    if is_older:  # the migrations read it
        with runtime.engine.begin() as connection:
            _fill_version(connection, manifest)
        rollout.upgrade(runtime.settings.database, contract=False)
    with _added_files(runtime, backup):
        _recover(runtime, manifest, recover, fills_version=not is_older)


def _fills_version(line: str) -> bool:
    return " TABLE DATA " in line and f" {_VERSION} " in line


def _fill_version(connection: Connection, manifest: Manifest) -> None:
    statement = text(f"INSERT INTO {_VERSION} (version_num) VALUES (:revision)")  # noqa: S608 - a name of ours
    connection.execute(statement, {"revision": manifest.revision})


def _recover(
    runtime: Runtime, manifest: Manifest, recover: Recovery, *, fills_version: bool = False
) -> None:
    """Do what follows a restoration, in one transaction."""
    with runtime.sessions() as session:
        session.info["context"] = RequestContext(request_id="command")
        signing.check_readable(session, runtime.keyring)
        recover(session, manifest)
        if fills_version:
            _fill_version(session.connection(), manifest)
        session.commit()


@contextmanager
def _runtime(settings: Settings, database_url: str) -> Iterator[Runtime]:
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    runtime = runtimes.create(Settings(**{**given, "database_url": database_url}))
    try:
        yield runtime
    finally:
        runtime.engine.dispose()


@contextmanager
def _added_files(runtime: Runtime, backup: Reader) -> Iterator[None]:
    """Add the uploaded files that are missing; they are removed again if the block fails."""
    store = storage.open_store(runtime.settings)
    added: list[str] = []
    try:
        names = frozenset(backup.files())
        with runtime.sessions() as session:
            for stored in session.scalars(select(StoredFile).execution_options(yield_per=BATCH)):
                if stored.name in names and not _is_there(store, stored.name):
                    content = backup.open(member_of(stored.name))
                    store.put(stored.name, content, files.headers(stored))
                    added.append(stored.name)
        yield
    except BaseException:
        for name in added:
            with contextlib.suppress(Unavailable):
                store.delete(name)
        raise


def _is_there(store: storage.Store, name: str) -> bool:
    """Return whether a store has a file; its content never changes under its name."""
    try:
        store.read(name)
    except NotFound:
        return False
    return True


def _extract(backup: Reader, target: Path) -> None:
    private_files.make_file(target)
    with backup.open(DATABASE) as stream, target.open("wb") as to:
        shutil.copyfileobj(stream, to, PIECE)


def _check_file(connection: Connection) -> None:
    """Refuse a file in which SQLite finds something wrong."""
    sound = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if sound != "ok" or dangling is not None:
        raise Conflict("The database in the backup is damaged.")


def _check_rows(connection: Connection, manifest: Manifest, *, but: str = "") -> None:
    """Compare the rows of each table with what was counted."""
    found: Mapping[str, int] = snapshots.count_rows(connection)
    for name, number in manifest.rows.items():
        if name != but and found.get(name) != number:
            raise Conflict(f"The backup has {found.get(name, 0)} rows of {name}, not {number}.")


@contextmanager
def _explained() -> Iterator[None]:
    """Report a full disk and the like in one sentence."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"The backup cannot be restored: {reason}.") from None
