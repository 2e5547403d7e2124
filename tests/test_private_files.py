"""What lies on the disk is for the user of the service alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from idp import private_files
from idp.config import SettingsError, sqlite_url
from idp.platform.db import Base
from idp.platform.notify import folder as outbox
from idp.publishing.files.storage import Folder
from tests.conftest import make_settings

pytestmark = pytest.mark.no_database


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pretend that the caller asked for other rights."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of everything below a folder, and of the folder."""
    found = {path.relative_to(folder).as_posix(): mode(path) for path in folder.rglob("*")}
    return {".": mode(folder), **found}


def test_database_and_journals_are_ours_before_the_first_connection(tmp_path: Path) -> None:
    assert Base.metadata is not None  # the rules of the database are loaded
    path = tmp_path / "new" / "folder" / "idp.sqlite3"
    engine = create_engine(sqlite_url(path))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE some (id INTEGER)"))
    with engine.connect() as connection:
        found = modes(path.parent)
        connection.rollback()
    engine.dispose()
    assert found == {
        ".": 0o700,
        "idp.sqlite3": 0o600,
        "idp.sqlite3-wal": 0o600,
        "idp.sqlite3-shm": 0o600,
    }
    assert mode(path.parent.parent) == 0o700


def test_a_database_that_others_may_read_is_closed(tmp_path: Path) -> None:
    names = ("idp.sqlite3", "idp.sqlite3-wal", "idp.sqlite3-shm")
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    engine = create_engine(sqlite_url(tmp_path / "idp.sqlite3"))
    engine.connect().close()
    engine.dispose()
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}


def test_secret_outbox_and_files_are_ours(tmp_path: Path) -> None:
    import io

    settings = make_settings(tmp_path, secret_key=SecretStr(""))
    (secret,) = settings.secret_keys
    assert len(secret) >= 48
    assert make_settings(tmp_path, secret_key=SecretStr("")).secret_keys == (secret,)
    outbox.keep(settings, b"To: ann", "txt")
    Folder(settings.files_dir).put("ab12.png", io.BytesIO(b"content"), {})
    found = modes(settings.data_dir)
    folders = {name for name in found if (settings.data_dir / name).is_dir()}
    assert folders == {".", "outbox", "files", "files/ab"}
    assert len(found) == 7
    assert {found[name] for name in folders} == {0o700}
    assert found["secret_key"] == 0o600
    assert [name for name, bits in found.items() if bits & 0o077] == []


def test_an_existing_data_folder_is_closed_when_all_in_it_is_ours(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    for folder in (settings.data_dir, settings.files_dir, settings.outbox_dir):
        folder.mkdir()
        folder.chmod(0o755)
    for name in ("idp.sqlite3", "secret_key"):
        (settings.data_dir / name).touch()
        (settings.data_dir / name).chmod(0o644)
    assert settings.make_data_dir()
    found = modes(settings.data_dir)
    assert found.pop("idp.sqlite3") == 0o644  # closed by the first connection
    assert found == {".": 0o700, "files": 0o700, "outbox": 0o700, "secret_key": 0o600}


def test_a_folder_that_is_not_ours_alone_is_left_as_it_is(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o755)
    (settings.data_dir / "of-somebody-else").touch()
    assert not settings.make_data_dir()
    assert mode(settings.data_dir) == 0o755
    (settings.data_dir / "of-somebody-else").unlink()
    settings.data_dir.chmod(0o1777)  # as /tmp
    assert not settings.make_data_dir()
    assert mode(settings.data_dir) == 0o1777


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_owns_is_left_as_it_is(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o755)
    os.chown(settings.data_dir, 65534, 65534)
    assert not settings.make_data_dir()
    assert mode(settings.data_dir) == 0o755


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = make_settings(tmp_path / "file")
    with pytest.raises(SettingsError, match=r"IDP_DATA_DIR: .*/file/data cannot be made"):
        settings.make_data_dir()


def test_a_file_is_written_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    assert private_files.write_once(path, "first") == "first"
    assert private_files.write_once(path, "second") == "first"
    assert modes(path.parent) == {".": 0o700, "secret": 0o600}
