"""`.ci/environment`: with pip, with uv and without both, behind a proxy of one's own."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import io
import ipaddress
import json
import os
import platform
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.npm import PROGRAMS
from tests.npm import environment as npm_environment

ROOT = Path(__file__).parent.parent
# What would tell the tools about other indexes, certificates and proxies.
CONFIGURING = ("PIP_", "UV_", "SSL_", "NODE_", "NPM_", "REQUESTS_", "CURL_", "HTTP", "ALL_PROXY")

BASE_PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")
"""The Python that this environment was made with."""

pytestmark = pytest.mark.no_database


def program() -> Any:
    """Load the program that makes the environment."""
    loader = importlib.machinery.SourceFileLoader("environment", str(ROOT / ".ci/environment"))
    spec = importlib.util.spec_from_loader("environment", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def has_pip() -> bool:
    """Return whether the Python that environments are made with has a pip."""
    return subprocess.run([sys.executable, "-m", "pip", "--version"]).returncode == 0


@pytest.fixture
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the home of a person who has set up nothing."""
    for name in [name for name in os.environ if name.upper().startswith(CONFIGURING)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path


@dataclass(frozen=True)
class Index:
    """A package index and npm registry whose certificate no system knows."""

    port: int
    authority: Path

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"


def wheel(name: str = "nothing", **files: str) -> bytes:
    """Make a package without content, or with programs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        tags = "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{name}-1.0.dist-info/METADATA", about)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", tags)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
        for program, text in files.items():
            archive.writestr(f"{name}-1.0.data/scripts/{program}", text)
    return content.getvalue()


PACKAGE = wheel()
UV = wheel("uv", uv='#!/bin/sh\nprintf "%s\\n" "$*" >> "$CALLS"\n')
"""Stands for uv: a program that writes down how it is called."""


def locked(name: str, content: bytes) -> str:
    """Write a line of a lock file."""
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Serve one Python package and one of npm by https, under an authority of our own."""
    folder = tmp_path_factory.mktemp("index")
    name = "nothing-1.0-py3-none-any.whl"
    digest = hashlib.sha256(PACKAGE).hexdigest()
    system = "manylinux_2_17" if platform.system() == "Linux" else "macosx_11_0"
    uv = [f"uv-1.0-py3-none-{system}_{machine}.whl" for machine in ("other", platform.machine())]
    answers: dict[str, tuple[str, bytes]] = {
        "/simple/nothing/": (
            "text/html",
            f'<a href="/{name}#sha256={digest}">{name}</a>'.encode(),
        ),
        f"/{name}": ("application/zip", PACKAGE),
        "/simple/uv/": ("text/html", "".join(f'<a href="/{file}"></a>' for file in uv).encode()),
        f"/{uv[0]}": ("application/zip", PACKAGE),
        f"/{uv[1]}": ("application/zip", UV),
        "/nothing": (
            "application/json",
            json.dumps(
                {
                    "name": "nothing",
                    "dist-tags": {"latest": "1.0.0"},
                    "versions": {"1.0.0": {"name": "nothing", "version": "1.0.0"}},
                }
            ).encode(),
        ),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = answers.get(self.path, ("text/plain", b""))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - its parent's name

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Index(server.server_port, folder / "authority.pem")
    server.shutdown()
    server.server_close()


def certificates(folder: Path) -> tuple[Path, Path]:
    """Make an authority and a certificate of this host; return the chain and its key."""
    now = datetime.now(UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "host")}
    names = {name: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in keys}
    made = {}
    for name, key in keys.items():
        is_authority = name == "authority"
        made[name] = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names["authority"])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(keys["authority"], SHA256())
        )
        (folder / f"{name}.pem").write_bytes(made[name].public_bytes(Encoding.PEM))
    private = folder / "host.key"
    private.write_bytes(
        keys["host"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return folder / "host.pem", private


def commands(index: Index, folder: Path) -> dict[str, list[str | Path]]:
    """Name what fetches something with each of the three tools."""
    simple = f"{index.url}/simple"
    return {
        "uv": [
            *(PROGRAMS / "uv", "pip", "install", "--no-cache", "--default-index", simple),
            *("--python", sys.executable, "--target", folder / "uv", "nothing"),
        ],
        "pip": [
            *(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", simple),
            *("--target", folder / "pip", "nothing"),
        ],
        "npm": [
            *(PROGRAMS / "npm", "view", "nothing", "version", "--registry", index.url),
            *("--cache", folder / "npm", "--fetch-retries", "0"),
        ],
    }


@pytest.mark.parametrize("tool", ["uv", "pip", "npm"])
def test_the_certificates_of_the_system_are_trusted(
    tool: str, index: Index, no_configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = program()
    monkeypatch.setattr(sys, "executable", BASE_PYTHON)
    if tool == "pip" and not has_pip():
        pytest.skip("this Python has no pip")
    command = commands(index, no_configuration)[tool]
    # Linux lets a user name the file that is the system's for OpenSSL and its like.
    monkeypatch.setattr(environment, "CERTIFICATES", (index.authority,))
    plain = subprocess.run(command, capture_output=True, text=True)
    assert plain.returncode != 0, plain.stdout
    made = environment._environment()
    variables = npm_environment() | {"SSL_CERT_FILE": str(index.authority)}
    done = subprocess.run(
        command, env=variables if tool == "npm" else made, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_uv_is_told_to_look_at_the_system(no_configuration: Path) -> None:
    made = program()._environment()
    help_text = subprocess.run(
        [PROGRAMS / "uv", "pip", "sync", "--help"], capture_output=True, text=True
    )
    assert "UV_SYSTEM_CERTS" in help_text.stdout
    assert made["UV_SYSTEM_CERTS"] == "true"


def test_what_the_operator_named_is_left_alone(
    no_configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_SYSTEM_CERTS", "false")
    monkeypatch.setenv("SSL_CERT_FILE", "/own/uv.pem")
    monkeypatch.setenv("PIP_CERT", "/own/pip.pem")
    made = program()._environment()
    named = {name: made[name] for name in ("UV_SYSTEM_CERTS", "SSL_CERT_FILE", "PIP_CERT")}
    assert named == {
        "UV_SYSTEM_CERTS": "false",
        "SSL_CERT_FILE": "/own/uv.pem",
        "PIP_CERT": "/own/pip.pem",
    }


@pytest.mark.parametrize("has_pip", [True, False])
def test_the_index_is_the_one_that_pip_is_set_up_for_and_no_other(
    has_pip: bool, no_configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = program()
    assert "UV_DEFAULT_INDEX" not in environment._environment()
    configuration = no_configuration / "pip.conf"
    configuration.write_text("[global]\nindex-url = https://index.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    environment = program()
    if not has_pip:
        monkeypatch.setattr(environment.sys, "executable", "/bin/false")
    assert environment._environment()["UV_DEFAULT_INDEX"] == "https://index.example/simple"


@pytest.fixture
def checkout(
    index: Index, no_configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Return the program for an empty checkout, on a machine with these tools and no others."""

    def make(*modules: str, uv: bytes = UV) -> Any:
        environment = program()
        folder = no_configuration / "checkout"
        monkeypatch.setattr(environment, "VENV", folder / ".venv")
        monkeypatch.setattr(environment, "PYTHON", folder / ".venv/bin/python")
        monkeypatch.setattr(environment, "LOCKS", {"test": folder / "test.lock"})
        monkeypatch.setattr(environment, "CERTIFICATES", (index.authority,))
        monkeypatch.setattr(environment, "_has", lambda module: module in modules)
        environment.VENV.mkdir(parents=True)
        lock = environment.LOCKS["test"]
        lock.write_text(locked("nothing", PACKAGE) + locked("uv", uv))
        return environment

    monkeypatch.setattr(sys, "executable", BASE_PYTHON)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # no uv
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    # `urllib` reads it when it connects, as OpenSSL does.
    monkeypatch.setenv("SSL_CERT_FILE", str(index.authority))
    monkeypatch.setenv("CALLS", str(no_configuration / "calls"))
    return make


@pytest.mark.parametrize("module", ["ensurepip", "pip"])
def test_without_uv_python_alone_makes_the_environment(
    module: str, checkout: Callable[..., Any]
) -> None:
    if module == "pip" and not has_pip():
        pytest.skip("this Python has no pip")
    environment = checkout(module)
    lock = environment.LOCKS["test"]
    lock.write_text(locked("nothing", PACKAGE))
    environment._install(lock)
    ask = "import importlib.metadata as m; print(m.version('nothing'))"
    told = subprocess.run([environment.PYTHON, "-c", ask], capture_output=True, text=True)
    assert told.stdout == "1.0\n"


@pytest.mark.parametrize("module", ["ensurepip", "pip"])
def test_a_package_with_another_hash_is_not_installed(
    module: str, checkout: Callable[..., Any]
) -> None:
    if module == "pip" and not has_pip():
        pytest.skip("this Python has no pip")
    environment = checkout(module)
    lock = environment.LOCKS["test"]
    lock.write_text(locked("nothing", b"another package"))
    with pytest.raises(SystemExit, match=r"could not install test\.lock"):
        environment._install(lock)


def test_a_python_without_pip_fetches_the_locked_uv(
    checkout: Callable[..., Any], no_configuration: Path
) -> None:
    environment = checkout()
    environment._install(environment.LOCKS["test"])
    made, synced = (no_configuration / "calls").read_text().splitlines()
    assert made == (f"venv --quiet --allow-existing --python {BASE_PYTHON} {environment.VENV}")
    assert synced == (
        f"pip sync --quiet --require-hashes --python {environment.PYTHON}"
        f" {environment.LOCKS['test']}"
    )


def test_a_uv_with_another_hash_is_never_started(
    checkout: Callable[..., Any], no_configuration: Path
) -> None:
    environment = checkout(uv=b"another uv")
    with pytest.raises(SystemExit, match=r"offers no uv 1\.0 for this machine\n.*python3-venv"):
        environment._install(environment.LOCKS["test"])
    assert not (no_configuration / "calls").exists()
