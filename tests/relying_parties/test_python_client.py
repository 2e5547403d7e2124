"""A client of others for Python that keeps to FAPI 2.0, unchanged, against a server."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import protocol
from tests.client_keys import ClientKey
from tests.conformance.browser import Person
from tests.conformance.provider import Provider
from tests.relying_parties import programs

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

HERE = Path(__file__).parent / "pip"


@pytest.fixture(scope="module")
def library() -> Path:
    """Install requests-oauth2client in a folder of its own, once for each environment."""
    lock = HERE / "requirements.lock"
    environment = Path(sys.executable).parent.parent
    folder = environment / "pip-tools" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            uv = environment / "bin" / "uv"
            command = [uv, "pip", "install", "-q", "--require-hashes", "--target", folder / "lib"]
            trusting = {"UV_SYSTEM_CERTS": "true", **os.environ}  # as `make env` does
            done = subprocess.run(
                [*command, "-r", lock], capture_output=True, text=True, env=trusting
            )
            if done.returncode:
                pytest.skip(f"uv cannot install the library: {done.stderr[-300:]}")
            (folder / "done").touch()
    return folder / "lib"


def test_a_library_keeps_to_the_profile(provider: Provider, library: Path, person: Person) -> None:
    key = ClientKey()
    with provider.sessions() as session:
        protocol.register(session, "pybank", security_profile="fapi2", jwks=key.jwks)
    private = json.dumps({**key.key.as_dict(private=True), "kid": key.kid})
    program = [sys.executable, "requests_oauth2client_bank.py", provider.url]
    arguments = ["pybank", protocol.CALLBACK, private]
    result = programs.sign_in(
        provider, person, [*program, *arguments], HERE, {"PYTHONPATH": str(library)}
    )
    assert [kind.lower() for kind in result["types"]] == ["dpop", "dpop"]
    assert result["subjects"] == [str(person.id)] * 2
    stolen = provider.http.get(
        provider.metadata["userinfo_endpoint"],
        headers=protocol.bearer(result["access_token"]),
    )
    assert stolen.status_code == 401
