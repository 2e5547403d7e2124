"""The wheel of a checkout, and an environment with it and the locked packages alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PURELIB = f"lib/python{sysconfig.get_python_version()}/site-packages"


def build(folder: Path, sources: Path = ROOT) -> Path:
    """Build the wheel into an empty folder."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, sources],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (found,) = folder.glob("*.whl")
    return found


def install(wheel: Path, folder: Path, called: str | None = None) -> Path:
    """Install a wheel as the guide does, without an index; return the Python.

    The packages of `requirements.lock` come from this environment, and nothing else does. With
    `called` the command is for an environment that will be at that path.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    for requirement in locked():
        _copy_package(requirement, folder / PURELIB)
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "pip"]
    options = ["--quiet", "--offline", "--no-deps", "--python", python]
    subprocess.run([*uv, "install", *options, wheel], check=True, timeout=120)
    # All that the wheel asks for is there, in versions that it accepts.
    subprocess.run([*uv, "check", "--quiet", "--python", python], check=True, timeout=120)
    if called is not None:
        program = folder / "bin" / "idp"
        program.write_text(program.read_text().replace(str(folder), called))
    return python


def locked() -> list[str]:
    """Return the packages of `requirements.lock` that this machine needs, each as it is locked."""
    lines = re.findall(r"^\S+==[^\\\n]*", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    needed = [Requirement(line) for line in lines]
    return [
        f"{one.name}{one.specifier}"
        for one in needed
        if one.marker is None or one.marker.evaluate()
    ]


def _copy_package(requirement: str, target: Path) -> None:
    name, _, version = requirement.partition("==")
    package = metadata.distribution(name)
    assert package.version == version, name
    for file in package.files or ():
        source = Path(str(file.locate()))
        if ".." not in file.parts and source.exists():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target / file)
            except OSError:  # another file system
                shutil.copy2(source, target / file)
