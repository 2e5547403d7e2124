"""Server and clients of the MCP TypeScript SDK, as they come: by a document and registered."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import npm, protocol
from tests.conformance.browser import Arrival, Browser, Person
from tests.documents import CERTIFICATE, document, let_in, serving
from tests.servers import clean_environment, free_port

pytestmark = pytest.mark.no_database
HERE = Path(__file__).parent / "npm"


def play(program: subprocess.Popen[str], issuer: str, person: Person) -> dict[str, Any]:
    """Open each address that a program prints; return what it says at last."""
    assert program.stdin is not None
    assert program.stdout is not None
    with Browser(issuer) as browser:
        for line in program.stdout:
            if line.startswith("{"):
                program.communicate(timeout=30)
                result: dict[str, Any] = json.loads(line)
                return result
            stop = browser.answer(browser.open(line.strip()), person)
            assert isinstance(stop, Arrival), stop
            program.stdin.write(f"{stop.url}\n")
            program.stdin.flush()
    pytest.fail(program.communicate(timeout=30)[1])


def test_clients_sign_in_refresh_and_get_more_scopes_later(
    live_server, session, monkeypatch, tmp_path
):
    folder = npm.installed((HERE / "package.json").read_bytes()).parent
    shutil.copyfile(HERE / "mcp.mjs", folder / "mcp.mjs")
    user = protocol.add_person(session)
    person = Person(user.id, user.username, protocol.PASSWORD)
    port = free_port()
    with serving(tmp_path) as (publisher, _):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / CERTIFICATE))
        client_id = publisher.put(
            document(
                f"https://localhost:{publisher.port}/oauth/client.json",
                redirect_uris=["http://localhost/callback"],
            )
        )
        let_in(session, clients_by_registration="any")
        growing, lasting = (
            protocol.add_api(session, f"http://127.0.0.1:{port}/{name}", scopes)
            for name, scopes in (
                ("growing", ["notes.read", "notes.write"]),
                ("lasting", ["files.read"]),
            )
        )
        growing.open_to_strangers = lasting.open_to_strangers = True
        session.commit()
        server = live_server(fetch_allow=f"localhost:{publisher.port}")
        callback = f"http://localhost:{free_port()}/callback"
        program = subprocess.Popen(
            [npm.NODE, "mcp.mjs", server.url, str(port), client_id, callback],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        try:
            found = play(program, server.url, person)
        finally:
            program.kill()
            program.communicate()
    for kind, cases in found.items():
        for case, api in (("grows", growing), ("lasts", lasting)):
            came = cases[case]
            name = came["client"]["client_id"]
            assert name == client_id if kind == "document" else name.startswith("c_")
            for token in (came["first"], came["second"]):
                assert (token["sub"], token["client_id"]) == (str(user.id), name)
                assert token["aud"] == api.name
            assert came["first"]["jti"] != came["second"]["jti"]
        grown, lasted = cases["grows"], cases["lasts"]
        assert grown["asked"] == ["notes.read", "notes.read notes.write"]
        assert grown["first"]["scope"] == "notes.read"
        assert grown["second"]["scope"] == "notes.read notes.write"
        assert lasted["asked"] == ["files.read offline_access"]  # once: then it refreshed
        assert lasted["isRotated"]
