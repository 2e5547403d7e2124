"""Files and folders that are for the user alone who runs us, whatever the umask."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_OTHERS = 0o077


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; one that exists is left as it is."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(FOLDER_MODE)  # a umask may have taken our own rights away


def close_folder(folder: Path, ours: tuple[str, ...] = ("",)) -> bool:
    """Close a folder to others when all in it has names of ours; return whether it is closed.

    A folder that another user owns or uses too, such as /var/lib or /tmp, is not touched.
    """
    if not folder.is_dir():
        return True
    found = folder.stat()
    if not found.st_mode & _OTHERS:
        return True
    if (
        found.st_uid != os.geteuid()
        or found.st_mode & stat.S_ISVTX
        or not all(path.name.startswith(ours) for path in folder.iterdir())
    ):
        return False
    folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    return True


def make_file(path: Path) -> None:
    """Make an empty file where there is none; one of ours is closed to others."""
    path = path.resolve()
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
    except FileExistsError:
        # Not opened: closing it again would end the locks that this process has on a database.
        close_file(path)
    else:
        path.chmod(FILE_MODE)


def close_file(path: Path) -> None:
    """Close a file of ours to others, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def is_open_to_others(path: Path) -> bool:
    """Whether another user may read, write or enter."""
    return bool(path.stat().st_mode & _OTHERS)


def write_once(path: Path, text: str) -> str:
    """Write a file unless it is there, whole or not at all; return what it holds."""
    make_folder(path.parent)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        make_file(draft)
        draft.write_text(text, encoding="ascii")
        path.hardlink_to(draft)
    except FileExistsError:
        make_file(path)
    finally:
        draft.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()
