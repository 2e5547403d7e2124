#!/usr/bin/env python3
"""Make the root folder of the image: `make_root.py ENVIRONMENT ROOT`.

ROOT gets the Python that runs this program, the environment as `/opt/idp`, the libraries that both
load, and the files that hosts, time zones and certificates are looked up in. There is no shell and
no package manager in it. Needs Debian, ldd and strip.
"""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

PLACE = Path("opt/idp")
USER = 10_001
LANGUAGES = ("root", "en", "en_*", "zh", "zh_*")
"""Files of Babel that the pages need; all of them together take 30 MB."""
UNUSED = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test"}
    | {"tests", "tkinter", "turtledemo"}
)
"""Folders of Python's library that no part of the server imports."""
UNUSED_MODULES = (
    *("_test*", "_ctypes_test*", "xx*"),
    *("_curses*", "_dbm*", "_gdbm*", "_tkinter*", "nis.*", "ossaudiodev.*", "readline.*"),
)
"""Modules of the same kind, and what only those load."""
UNUSED_PICTURES = ("__pycache__", "ImageTk.*", "_imagingtk.*", "_tkinter_finder.*")
"""What Pillow has for the windows of Python's tkinter, which is not copied."""
SYSTEM = (
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/lib/locale/C.utf8",
    "/usr/share/zoneinfo",
)
ELF = b"\x7fELF"


def main(environment: Path, root: Path) -> None:
    """Make the folder; it must not be there yet."""
    shutil.copytree(environment, root / PLACE, symlinks=True, ignore=_left_out)
    library = _copy_python(root)
    _strip(root)
    system = [*_libraries(root), *(_existing(name) for name in SYSTEM)]
    _copy_system(system, root)
    _name_packages(system, root)
    _add_users(root)
    for folder in (library, root / PLACE / "lib"):
        _compile(folder, root)


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Return what is left out of the environment."""
    if folder.endswith("/babel/locale-data"):
        return {name for name in names if not _is_one_of(name.removesuffix(".dat"), LANGUAGES)}
    if folder.endswith("/PIL"):
        return {name for name in names if _is_one_of(name, UNUSED_PICTURES)}
    return {"__pycache__", "tests"}.intersection(names)


def _copy_python(root: Path) -> Path:
    """Copy the interpreter and its library; return where the library is now."""
    base = Path(sys.base_prefix)
    number = sysconfig.get_python_version()
    programs = root / base.relative_to("/") / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "python3", f"python{number}"):
        # Debian's own Python has no name without a number.
        if (base / "bin" / name).exists():
            shutil.copy2(base / "bin" / name, programs / name, follow_symlinks=False)
    for path in (base / "lib").glob("libpython*.so*"):
        target = root / path.relative_to("/")
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    library = Path(sysconfig.get_path("stdlib"))
    target = root / library.relative_to("/")
    shutil.copytree(library, target, symlinks=True, ignore=_unused)
    return target


def _unused(folder: str, names: list[str]) -> set[str]:
    is_modules = folder.endswith("/lib-dynload")
    return {
        name
        for name in names
        if name in UNUSED
        or name.startswith("config-")
        or (is_modules and _is_one_of(name, UNUSED_MODULES))
    }


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _strip(root: Path) -> None:
    """Remove what only debuggers read."""
    for path in _programs(root):
        # Libraries that a wheel brings were changed after they were linked: they stay as they are.
        if not path.parent.name.endswith(".libs"):
            subprocess.run(["strip", "--strip-unneeded", path], check=True)


def _libraries(root: Path) -> set[Path]:
    """Return the libraries of this system that programs in a folder load."""
    found = set()
    for path in _programs(root):
        done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
        if "not found" in done.stdout:
            raise SystemExit(f"{path} needs what is not here:\n{done.stdout}")
        found |= {Path(name) for name in re.findall(r"(/\S+) \(0x", done.stdout)}
    return {path for path in found if not path.is_relative_to(root)}


def _programs(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(len(ELF)) == ELF:
                    yield path


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise SystemExit(f"{name} is not here; install the package of Debian that has it")
    return path


def _copy_system(paths: Iterable[Path], root: Path) -> None:
    for name in ("bin", "lib", "lib64", "sbin"):
        if (link := Path("/", name)).is_symlink():
            (root / name).symlink_to(link.readlink())
    for path in paths:
        target = root / (path.parent.resolve() / path.name).relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, symlinks=True)
        elif not target.exists():
            shutil.copy2(path, target)


def _name_packages(paths: Iterable[Path], root: Path) -> None:
    """Write down which packages of Debian there are parts of, where scanners look for them."""
    folder = root / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for path in paths:
        for name in (path, path.resolve()):
            done = subprocess.run(
                ["dpkg-query", "--search", name], capture_output=True, text=True, check=False
            )
            for package in re.findall(r"^([-+.\w]+)(?::\w+)?(?=[:,])", done.stdout, re.MULTILINE):
                status = subprocess.run(
                    ["dpkg-query", "--status", package], capture_output=True, check=True
                )
                (folder / package).write_bytes(status.stdout)


def _add_users(root: Path) -> None:
    etc = root / "etc"
    (etc / "passwd").write_text(
        f"root:x:0:0:root:/root:/sbin/nologin\nidp:x:{USER}:{USER}:idp:/nonexistent:/sbin/nologin\n"
    )
    (etc / "group").write_text(f"root:x:0:\nidp:x:{USER}:\n")
    for name in ("dev", "etc/idp/keys", "proc", "run/secrets", "sys", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _compile(folder: Path, root: Path) -> None:
    """Compile modules: at run time nothing can be written beside them, nor does it change."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(
        folder, quiet=1, stripdir=root, prependdir="/", invalidation_mode=mode, maxlevels=30
    ):
        raise SystemExit(f"a module in {folder} cannot be compiled")


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - program and two folders
        raise SystemExit("usage: make_root.py ENVIRONMENT ROOT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
