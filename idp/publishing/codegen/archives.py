"""Archives of generated files: made the same way each time, and unpacked again."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from idp.platform.errors import Unprocessable
from idp.platform.translation import N_, filled

MAX_BYTES = 32 * 1024 * 1024

_SAME_TIME = (1980, 1, 1, 0, 0, 0)
# What generators leave that belongs in no package: their notes, a script that pushes.
_LEFT_OUT = (".openapi-generator", ".openapi-generator-ignore", "git_push.sh")


def pack(folder: Path) -> bytes:
    """Make a zip of the plain files in a folder; equal folders have equal archives."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(_files(folder)):
            archive.writestr(zipfile.ZipInfo(name, _SAME_TIME), path.read_bytes(), compresslevel=6)
            if buffer.tell() > MAX_BYTES:
                raise Unprocessable(
                    filled(
                        N_("The archive is larger than %(most)s MiB."), most=MAX_BYTES // 1024**2
                    )
                )
    return buffer.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of an archive that was made here into a folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in names:
            path = Path(parent) / name
            # A link could lead to any file of this host.
            if name not in _LEFT_OUT and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path
