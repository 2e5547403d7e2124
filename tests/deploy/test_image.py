"""What the image consists of, made from this environment, and idp confined in it.

No image is built: its last stage is one folder, which `deploy/make_root.py` makes here as there.
The Python is that of the tests instead of that of the base image.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.pages.language import LANGUAGES
from tests import wheels
from tests.conftest import SECRET_KEY
from tests.deploy.files import ROOT, read, stages
from tests.servers import short_dir

pytestmark = pytest.mark.no_database

LARGEST = 200_000_000
CONTAINED = Path(__file__).with_name("contained.py")

PROBE = """
import importlib, json, os, pathlib, socket, sys

import psycopg  # before its modules

def refused(act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        return error.strerror
    return "allowed"

def loads(module):
    try:
        importlib.import_module(module)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

(packages,) = (path for path in sys.path if path.endswith("site-packages"))
modules = [
    ".".join((*path.parent.relative_to(packages).parts, path.name.split(".")[0]))
    for path in pathlib.Path(packages).rglob("*.so")
    if not path.parent.name.endswith(".libs")
]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "root": refused(open, "/written", "w"),
    "idp": refused(open, packages + "/idp/written", "w"),
    "secrets": refused(open, "/run/secrets/written", "w"),
    "data": refused(open, "/data/written", "w"),
    "tmp": refused(open, "/tmp/written", "w"),
    "setuid": refused(os.setuid, 0),
    "mount": refused(os.chroot, "/"),
    "network": refused(socket.create_connection, ("192.0.2.1", 443), 5),
    "user": os.getuid(),
    "capabilities": [status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd")],
    "modules": {module: why for module in modules if (why := loads(module))},
    "number": len(modules),
    "programs": sorted({path.name for name in ("/bin", "/usr/bin", "/opt/idp/bin")
                        for path in pathlib.Path(name).glob("*")}),
    "encoding": sys.getfilesystemencoding(),
}))
"""


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """The folder that the last stage consists of."""
    for program in ("strip", "ldd", "dpkg-query"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the folder of the image cannot be made")
    folder = short_dir()
    try:
        wheels.install(wheels.build(folder / "dist"), folder / "environment", called="/opt/idp")
        subprocess.run(
            [sys.executable, ROOT / "deploy/make_root.py", folder / "environment", folder / "root"],
            check=True,
            timeout=400,
        )
        (folder / "root/data").mkdir()
        yield folder / "root"
    finally:
        shutil.rmtree(folder)


def test_the_files_of_the_image_are_less_than_200_mb(root: Path) -> None:
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    names = {str(path.relative_to(root)) for path in files}
    assert not [name for name in names if name.endswith(("/sh", "/bash", "/pip", "/dpkg"))]
    assert "opt/idp/bin/idp" in names
    packages = {path.name for path in (root / "var/lib/dpkg/status.d").iterdir()}
    assert packages >= {"libc6", "libssl3", "tzdata"}


def test_the_image_holds_the_languages_of_the_pages_and_no_others(root: Path) -> None:
    (folder,) = root.rglob("babel/locale-data")
    found = {path.stem.partition("_")[0] for path in folder.glob("*.dat")}
    assert found == {"root", *LANGUAGES}


def story() -> dict[str, Any]:
    last = stages(read("Dockerfile"))[-1]
    given = dict(last)
    variables = dict(word.split("=", 1) for word in given["ENV"].split())
    return {
        "user": given["USER"].partition(":")[0],
        "entrypoint": json.loads(given["ENTRYPOINT"]),
        "command": json.loads(given["CMD"]),
        "stop_signal": given["STOPSIGNAL"],
        "python": ["/opt/idp/bin/python"],
        "probe": PROBE,
        "secrets": {"secret_key": SECRET_KEY, "admin_password": "a-password-of-the-image"},
        "environment": {
            **variables,
            "IDP_PUBLIC_URL": "http://127.0.0.1:8000",
            "IDP_SECRET_KEY_FILE": "/run/secrets/secret_key",
            "IDP_ADMIN_PASSWORD_FILE": "/run/secrets/admin_password",
            "IDP_METRICS_LISTEN": "127.0.0.1:9100",
        },
    }


def test_idp_serves_from_the_image_without_root_and_without_a_place_to_write(root: Path) -> None:
    alone = ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"]
    if os.getuid() or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("needs root and namespaces to confine a server as a container does")
    done = subprocess.run(
        [*alone, sys.executable, CONTAINED, root],
        input=json.dumps(story()),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    probe = json.loads(seen.pop("probe"))
    assert probe.pop("number") > 30
    assert probe == {
        **dict.fromkeys(("root", "idp", "secrets"), "Read-only file system"),
        **dict.fromkeys(("data", "tmp"), "allowed"),
        **dict.fromkeys(("setuid", "mount"), "Operation not permitted"),
        "network": "Network is unreachable",
        "user": 10_001,
        "capabilities": ["0" * 16] * 3,
        "modules": {},
        "programs": probe["programs"],
        "encoding": "utf-8",
    }
    assert not {"sh", "bash", "pip", "dpkg"} & set(probe["programs"])
    assert seen["issuer"] == "http://127.0.0.1:8000"
    assert seen["landed"] == "/account"
    assert "账号" in seen["account"]
    assert seen["code"] == 0, seen["output"]
    assert "server_stopped" in seen["output"]
    assert seen["seconds"] < 25
    assert "a-password-of-the-image" not in seen["setup"] + seen["output"]
