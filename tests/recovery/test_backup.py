"""`idp backup` and `idp restore`: all of it or nothing, and nothing that was changed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session

from idp.directory.users import service as users
from idp.directory.users.service import NewUser
from idp.platform import schema, steps
from idp.platform.audit.models import AuditEvent
from idp.platform.db import Base
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring
from idp.publishing.files import storage
from idp.publishing.files.models import StoredFile
from idp.recovery import backup as backups
from idp.recovery import manifest as manifests
from idp.recovery.archive import DATABASE, MANIFEST, SEAL
from tests.conftest import SECRET_KEY, as_environment
from tests.protocol import add_person
from tests.recovery.conftest import Place, Run
from tests.servers import clean_environment

CHANGED = {
    *("audit_event", "configuration_version", "signing_key"),
    *("alembic_version", "installation", "node"),
}
"""Tables that a restoration adds to, or that describe the database."""
FILE_LIMIT = 200_000
PICTURE = b"\x89PNG not really"


def manifest_of(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as tar:
        content = tar.extractfile(MANIFEST)
        assert content is not None
        found: dict[str, Any] = json.loads(content.read())
        return found


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write an archive again with other members."""
    with tarfile.open(path) as tar:
        members = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    change(members)
    target = path.with_name(f"other-{path.name}")
    with tarfile.open(target, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target


def with_manifest(path: Path, *, secret: str = SECRET_KEY, **changes: Any) -> Path:
    """Change the manifest, and seal it as only the holder of the root secret can."""

    def change(members: dict[str, bytes]) -> None:
        text = json.dumps({**json.loads(members[MANIFEST]), **changes})
        members[MANIFEST] = text.encode()
        members[SEAL] = manifests.seal(Keyring([secret]), text).encode()

    return rewrite(path, change)


def add_file(session: Session, runtime: Runtime, name: str = "0" * 32 + ".png") -> StoredFile:
    row = StoredFile(
        name=name,
        original_name="picture.png",
        media_type="image/png",
        size=len(PICTURE),
        content_hash=hashlib.sha256(PICTURE).digest(),
        client_id="web",
    )
    session.add(row)
    session.commit()
    storage.open_store(runtime.settings).put(name, io.BytesIO(PICTURE), {})
    return row


def test_a_backup_describes_itself_and_holds_no_secret(
    session: Session, runtime: Runtime, saved: Callable[..., Path]
) -> None:
    gone = users.create(session, NewUser("gone"))
    highest = gone.id
    session.delete(gone)
    path = saved()
    found = manifest_of(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET_KEY.encode() not in path.read_bytes()
    with runtime.engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            if name in Base.metadata.tables:
                table = Base.metadata.tables[name]
                count = connection.scalar(select(func.count()).select_from(table))
                assert found["rows"][name] == count, name
    assert found["highest_ids"]["user"] == highest
    assert found["revision"] == steps.chain()[-1].revision
    assert found["schema_number"] == steps.number()
    assert len(found["active_keys"]) == 4
    assert list(found["members"]) == [DATABASE]
    assert [entry.name for entry in path.parent.iterdir() if ".idp" in entry.name] == []


def test_what_is_restored_is_what_was_saved(
    idp_json: Any, session: Session, runtime: Runtime, saved: Callable[..., Path], place: Place
) -> None:
    add_person(session, "ann")
    path = saved()
    add_person(session, "lost")
    told = idp_json("restore", path, at=place)
    assert told["rows"] == sum(manifest_of(path)["rows"].values())
    session.delete(users.find_by_username(session, "lost"))
    session.commit()
    place.open()
    with runtime.engine.connect() as one, place.runtime.engine.connect() as other:
        for table in Base.metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key.columns)
            if table.name not in {*CHANGED, "membership"}:
                assert one.execute(query).all() == other.execute(query).all(), table.name
    assert place.open().get("/readyz").status_code == 200
    if place.settings.database.startswith("sqlite"):
        file = place.folder / "idp.sqlite3"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not [entry.name for entry in place.folder.iterdir() if ".part" in entry.name]


def test_a_restored_database_is_one_that_idp_knows(
    idp: Run, saved: Callable[..., Path], place: Place
) -> None:
    idp("restore", str(saved()), at=place)
    assert "There is nothing to do." in idp("setup", "--check", at=place).stdout
    assert schema.drift(place.settings.database) == []


def test_uploaded_files_come_along(
    idp_json: Any,
    session: Session,
    runtime: Runtime,
    saved: Callable[..., Path],
    place: Place,
    tmp_path: Path,
) -> None:
    first = add_file(session, runtime)
    lost = add_file(session, runtime, "1" * 32 + ".png")
    storage.open_store(runtime.settings).delete(lost.name)
    assert manifest_of(saved())["members"].keys() == {DATABASE}
    told = idp_json("backup", "--to", str(tmp_path / "with.tar"), "--files")
    assert (told["files"], told["missing_files"]) == (1, 1)
    assert idp_json("restore", tmp_path / "with.tar", at=place)["files"] == 1
    with tarfile.open(tmp_path / "with.tar") as tar:
        assert f"files/{first.name[:2]}/{first.name}" in tar.getnames()
    assert (place.settings.files_dir / first.name[:2] / first.name).read_bytes() == PICTURE


def test_a_file_that_is_there_stays_when_nothing_is_restored(
    idp: Run, session: Session, runtime: Runtime, saved: Callable[..., Path], place: Place
) -> None:
    kept, new = add_file(session, runtime), add_file(session, runtime, "2" * 32 + ".png")
    path = saved("--files")
    store = storage.open_store(place.settings)
    store.put(kept.name, io.BytesIO(PICTURE), {})
    # What follows the restoration fails: the chosen ids are too high.
    highest = place.folder / "highest.json"
    highest.write_text(json.dumps({"user": 2**31 - 5}))
    refused = idp("restore", str(path), "--highest", str(highest), at=place, code=1)
    assert "would pass 2147483647" in refused.stderr
    assert store.read(kept.name) == PICTURE
    assert not (place.settings.files_dir / new.name[:2] / new.name).exists()
    assert not (place.folder / "idp.sqlite3").exists()


def test_files_in_a_bucket_are_copied_by_its_means(idp: Run, tmp_path: Path) -> None:
    refused = idp(
        *("backup", "--to", str(tmp_path / "a.tar"), "--files"),
        code=1,
        IDP_FILES_URL="s3://bucket/files?region=eu-central-1",
    )
    assert "copy the bucket" in refused.stderr
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize("part", [0, 1, 511, 0.3, 0.8, 0.99, 0.9999, 1.0])
def test_a_backup_that_is_cut_off_is_refused(
    idp: Run, saved: Callable[..., Path], place: Place, part: float
) -> None:
    path = saved()
    content = path.read_bytes()
    whole = content.rindex(SEAL.encode()) + 512 + 40  # only zeros follow the seal
    path.write_bytes(content[: part if isinstance(part, int) else int(part * whole)])
    refused = idp("restore", str(path), at=place, code=1)
    assert "cut off" in refused.stderr or "no backup of idp" in refused.stderr
    assert place.is_empty()


def test_a_backup_with_a_changed_byte_is_refused(
    idp: Run, saved: Callable[..., Path], new_place: Callable[[], Place]
) -> None:
    path = saved()
    content = path.read_bytes()
    size = manifest_of(path)["members"][DATABASE]["size"]
    end_of_database = 512 + size
    manifest_at = content.index(b'"format"')
    seal_at = content.index(SEAL.encode()) + 512
    chance = random.Random(7)
    for at in (512, chance.randrange(512, end_of_database), manifest_at + 20, seal_at + 10):
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        place = new_place()
        refused = idp("restore", str(path), at=place, code=1)
        assert "altered" in refused.stderr or "root secret" in refused.stderr, at
        assert place.is_empty()


def test_whoever_changes_a_backup_cannot_seal_it(
    idp: Run, saved: Callable[..., Path], place: Place
) -> None:
    def replace_database(members: dict[str, bytes]) -> None:
        members[DATABASE] += b"x"
        manifest = json.loads(members[MANIFEST])
        digest = hashlib.sha256(members[DATABASE]).hexdigest()
        manifest["members"][DATABASE] = {"size": len(members[DATABASE]), "sha256": digest}
        members[MANIFEST] = json.dumps(manifest).encode()

    refused = idp("restore", str(rewrite(saved(), replace_database)), at=place, code=1)
    assert "does not have the seal" in refused.stderr
    assert place.is_empty()


@pytest.mark.parametrize(
    "name", ["files/../../escaped.png", "/etc/passwd", "files/00/" + "0" * 32 + ".png", "more"]
)
def test_members_that_the_manifest_does_not_name_are_refused(
    idp: Run, saved: Callable[..., Path], place: Place, name: str
) -> None:
    path = rewrite(saved(), lambda members: members.update({name: b"x"}))
    refused = idp("restore", str(path), at=place, code=1)
    assert "altered" in refused.stderr
    assert place.is_empty()


def test_links_and_doubles_are_refused(
    idp: Run, saved: Callable[..., Path], new_place: Callable[[], Place]
) -> None:
    link = tarfile.TarInfo("files/00/" + "0" * 32 + ".png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for info in (link, tarfile.TarInfo(DATABASE)):
        path, place = saved(), new_place()
        with tarfile.open(path, "a") as tar:
            tar.addfile(info)
        assert "altered" in idp("restore", str(path), at=place, code=1).stderr
        assert place.is_empty()


def test_a_file_that_is_no_backup_is_refused(idp: Run, tmp_path: Path, place: Place) -> None:
    other = tmp_path / "other.tar"
    for content in (b"", b"hello", os.urandom(20_000)):
        other.write_bytes(content)
        refused = idp("restore", str(other), at=place, code=1)
        assert "backup" in refused.stderr
    assert place.is_empty()
    assert "does not exist" in idp("restore", str(tmp_path / "away"), at=place, code=2).stderr


def test_a_backup_of_a_newer_release_is_refused(
    idp: Run, saved: Callable[..., Path], place: Place
) -> None:
    path = saved()
    for changes in (
        {"schema_number": steps.number() + 1, "revision": "9999", "release": "9.0.0"},
        {"revision": "9999", "release": "9.0.0"},
        {"format": 2, "release": "9.0.0"},
    ):
        refused = idp("restore", str(with_manifest(path, **changes)), at=place, code=1)
        assert "was made by a newer release of idp (9.0.0)" in refused.stderr
    assert place.is_empty()


def test_numbers_that_do_not_agree_with_the_database_are_refused(
    idp: Run, saved: Callable[..., Path], place: Place
) -> None:
    path = saved()
    rows = manifest_of(path)["rows"]
    wrong = with_manifest(path, rows={**rows, "user": rows["user"] + 1})
    refused = idp("restore", str(wrong), at=place, code=1)
    assert f"rows of user, not {rows['user'] + 1}" in refused.stderr
    if place.settings.database.startswith("sqlite"):
        assert place.is_empty()
    else:
        assert "drop it and create it again" in refused.stderr
        assert "is not set up" in idp("keys", "list", at=place, code=1).stderr


def test_another_root_secret_is_refused(
    idp: Run, saved: Callable[..., Path], place: Place, new_place: Callable[[], Place]
) -> None:
    path, other = str(saved()), "another root secret of an operator"
    refused = idp("restore", path, at=place, code=1, IDP_SECRET_KEY=other)
    assert "under another root secret" in refused.stderr
    assert place.is_empty()
    idp("restore", path, at=place, IDP_SECRET_KEY=f"{other},{SECRET_KEY}")
    # A secret that would have to be generated cannot be the right one.
    empty = new_place()
    refused = idp("restore", path, at=empty, code=2, IDP_SECRET_KEY="")
    assert "IDP_SECRET_KEY is not set" in refused.stderr
    assert empty.is_empty()


def test_a_filled_target_is_refused(
    idp: Run, session: Session, saved: Callable[..., Path], place: Place
) -> None:
    path = str(saved())
    idp("restore", path, at=place)
    add_person(session, "ann")
    place.open()
    with place.runtime.sessions() as other:
        add_person(other, "somebody")
    assert "The target is not empty" in idp("restore", path, at=place, code=1).stderr
    with place.runtime.sessions() as other:
        assert users.find_by_username(other, "somebody") is not None


@pytest.mark.sqlite
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_journal_that_was_left_behind_is_refused(
    idp: Run, saved: Callable[..., Path], place: Place, suffix: str
) -> None:
    place.folder.mkdir()
    left = place.folder / f"idp.sqlite3{suffix}"
    left.write_bytes(b"of another database")
    refused = idp("restore", str(saved()), at=place, code=1)
    assert f"move {left} away first" in refused.stderr
    assert left.read_bytes() == b"of another database"
    assert not (place.folder / "idp.sqlite3").exists()


@pytest.mark.sqlite
def test_a_backup_of_sqlite_is_not_loaded_into_postgresql(
    idp: Run, saved: Callable[..., Path], place: Place, new_database: Callable[[], str]
) -> None:
    refused = idp(*("restore", str(saved())), at=place, code=1, IDP_DATABASE_URL=new_database())
    assert "idp db copy" in refused.stderr


def test_a_backup_of_an_older_schema_is_brought_up_to_date(
    idp: Run, runtime: Runtime, tmp_path: Path, place: Place, session: Session
) -> None:
    session.commit()
    schema.downgrade(runtime.settings.database, steps.chain()[-2].revision)
    path = tmp_path / "older.tar"
    backups.to_file(runtime, path, with_files=False)
    assert manifest_of(path)["schema_number"] == steps.number() - 1
    idp("restore", str(path), at=place)
    assert schema.drift(place.settings.database) == []
    assert "There is nothing to do." in idp("setup", "--check", at=place).stdout


def test_a_database_of_an_older_schema_is_not_saved(
    idp: Run, runtime: Runtime, tmp_path: Path, session: Session
) -> None:
    session.commit()
    schema.downgrade(runtime.settings.database, steps.chain()[-2].revision)
    assert "older release" in idp("backup", "--to", str(tmp_path / "a.tar"), code=1).stderr


def test_a_backup_replaces_no_file(idp: Run, tmp_path: Path) -> None:
    target = tmp_path / "idp.tar"
    target.write_text("the last backup")
    assert "exists already" in idp("backup", "--to", str(target), code=1).stderr
    assert target.read_text() == "the last backup"
    missing = idp("backup", "--to", str(tmp_path / "away" / "idp.tar"), code=1).stderr
    assert "No such file or directory" in missing
    assert "No backup was made" in missing


def test_a_backup_goes_through_a_pipe(idp: Run, tmp_path: Path, place: Place) -> None:
    piped = tmp_path / "piped.tar"
    piped.write_bytes(idp("backup", "--to", "-").stdout_bytes)
    idp("restore", str(piped), at=place)
    assert place.open().get("/readyz").status_code == 200


def limited(settings: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no large file, as on a disk that is almost full."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({FILE_LIMIT},) * 2)\n"
        "from idp.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**clean_environment(), **as_environment(settings)},
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_full_disk_leaves_no_half_backup(
    settings: Any, session: Session, runtime: Runtime, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for number in range(3):
        add_person(session, f"person-{number}", description=os.urandom(900).hex())
    if settings.database.startswith("postgresql"):  # which compresses
        session.add_all(
            AuditEvent(tag="a:b:c", details={"noise": os.urandom(1000).hex()}) for _ in range(400)
        )
    session.commit()
    runtime.engine.dispose()
    ended = limited(settings, "backup", "--to", str(folder / "idp.tar"))
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert any(words in ended.stderr for words in ("No backup was made", "pg_dump failed"))
    assert list(folder.iterdir()) == []


@pytest.mark.sqlite
def test_a_full_disk_leaves_no_half_database(
    idp: Run, saved: Callable[..., Path], place: Place
) -> None:
    path = saved()
    ended = limited(place.settings, "restore", str(path))
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "The backup cannot be restored" in ended.stderr
    assert place.is_empty()
    idp("restore", str(path), at=place)


@pytest.mark.postgresql
def test_without_pg_dump_the_line_to_type_is_printed(
    idp: Run, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    url = settings.database.replace("postgres@/", "postgres:geheim@/")
    refused = idp("backup", "--to", str(tmp_path / "a.tar"), code=1, IDP_DATABASE_URL=url)
    assert "pg_dump is not installed here" in refused.stderr
    assert "pg_dump --format=custom --no-owner --no-privileges --file=FILE" in refused.stderr
    assert "geheim" not in refused.output
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.postgresql
def test_the_password_of_the_database_is_no_argument(
    idp: Run, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    fake = programs / "pg_dump"
    fake.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/seen\necho "$PGPASSWORD" >> {tmp_path}/seen\n'
        f"env >> {tmp_path}/environment\necho 'pg_dump: error: nothing works' >&2\nexit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for url in (
        settings.database.replace("postgres@/", "postgres:geheim@/"),
        f"{settings.database}&password=geheim",
    ):
        refused = idp("backup", "--to", str(tmp_path / "a.tar"), code=1, IDP_DATABASE_URL=url)
        assert "nothing works" in refused.stderr
        arguments, password = (tmp_path / "seen").read_text().splitlines()
        assert password == "geheim"
        assert "geheim" not in arguments
        assert "dbname" in arguments
        assert "IDP_SECRET_KEY" not in (tmp_path / "environment").read_text()
        assert not (tmp_path / "a.tar").exists()
