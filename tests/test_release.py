"""`make release`: a wheel that is always the same, its bill of materials, and checksums."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import idp
from tests import wheels
from tests.wheels import ROOT

pytestmark = pytest.mark.no_database

COMMIT = ("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs git and a clone: {done.stderr}")
    return done.stdout


def copy_checkout(folder: Path) -> None:
    """Copy what belongs to the project, as it is here, changes included."""
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        source, target = ROOT / name, folder / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target, follow_symlinks=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one commit of what is here."""
    folder = tmp_path / "clone"
    copy_checkout(folder)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, *COMMIT, "--message", "All")
    return folder


def release(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ".ci/release"], cwd=folder, capture_output=True, text=True, timeout=300
    )


def test_a_release_has_a_wheel_a_lock_file_a_bill_of_materials_and_checksums(clone: Path) -> None:
    done = release(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    dist = clone / "dist"
    prefix = f"idp-{idp.__version__}"
    wheel, lock = dist / f"{prefix}-py3-none-any.whl", dist / f"{prefix}.requirements.lock"
    materials = dist / f"{prefix}.cdx.json"
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    assert {path.name for path in dist.iterdir()} == {
        *(wheel.name, lock.name, materials.name, "SHA256SUMS"),
    }
    assert dict(reversed(line.split("  ")) for line in lines) == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (wheel, lock, materials)
    }
    assert lock.read_bytes() == (ROOT / "requirements.lock").read_bytes()
    check_materials(json.loads(materials.read_text()), hashlib.sha256(wheel.read_bytes()))
    first = (dist / "SHA256SUMS").read_text()
    assert release(clone).returncode == 0
    assert (dist / "SHA256SUMS").read_text() == first


def check_materials(found: dict[str, Any], digest: Any) -> None:
    about = found["metadata"]["component"]
    assert (about["name"], about["version"]) == ("idp", idp.__version__)
    assert about["hashes"] == [{"alg": "SHA-256", "content": digest.hexdigest()}]
    locked = dict(
        re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    packages = {one["name"]: one for one in found["components"]}
    assert {name: one["version"] for name, one in packages.items()} == locked
    for name, one in packages.items():
        assert one["purl"] == f"pkg:pypi/{name}@{locked[name]}"
        hashes = [h for r in one["externalReferences"] for h in r.get("hashes", ())]
        assert hashes, name
        assert {h["alg"] for h in hashes} == {"SHA-256"}


def test_no_release_is_made_of_what_is_not_committed(clone: Path) -> None:
    (clone / "idp" / "left.py").write_text("")
    done = release(clone)
    assert done.returncode == 1
    assert "not committed" in done.stderr
    assert not (clone / "dist").exists()


def test_no_release_is_made_without_its_section_in_the_changelog(clone: Path) -> None:
    path = clone / "idp" / "__init__.py"
    path.write_text(path.read_text().replace(idp.__version__, "77.0.0"))
    git(clone, *COMMIT, "--all", "--message", "Raise the version")
    done = release(clone)
    assert done.returncode == 1
    assert "CHANGELOG.md does not begin with a dated section for 77.0.0" in done.stderr
    assert not (clone / "dist").exists()


def test_the_wheel_is_the_same_wherever_and_whenever_it_is_built(tmp_path: Path) -> None:
    digests = set()
    for number, mask in enumerate((0o022, 0o077)):
        folder = tmp_path / f"{'deep/' * number}sources"
        before = os.umask(mask)
        try:
            copy_checkout(folder)
        finally:
            os.umask(before)
        for path in folder.rglob("*"):
            os.utime(path, (number * 10**8 + 10**9,) * 2, follow_symlinks=False)
        wheel = wheels.build(tmp_path / f"dist{number}", folder)
        digests.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_newest_section_of_the_changelog_is_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(one for one in headings if one != "Unreleased") == idp.__version__
