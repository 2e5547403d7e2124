"""The client of the MCP Python SDK, as it comes, at an issuer that knows it by its document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests import protocol
from tests.conformance.browser import Arrival, Browser, Person
from tests.documents import CERTIFICATE, document, let_in, serving
from tests.servers import clean_environment, free_port

pytestmark = pytest.mark.no_database
CLIENT = Path(__file__).parent / "mcp_by_document.py"


@contextmanager
def resource_server(issuer: str) -> Iterator[str]:
    """Serve a protected resource that tells its authorization server (RFC 9728)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bearer = self.headers.get("Authorization", "").partition(" ")[2]
            address = f"http://127.0.0.1:{self.server.server_address[1]}"
            metadata = f"{address}/.well-known/oauth-protected-resource/mcp"
            if self.path.startswith("/.well-known/"):
                scopes = ["notes.read"]
                self.answer(
                    200,
                    {
                        "resource": f"{address}/mcp",
                        "authorization_servers": [issuer],
                        "scopes_supported": scopes,
                    },
                )
            elif bearer:
                self.answer(200, {"token": bearer})
            else:
                self.answer(401, {}, f'Bearer resource_metadata="{metadata}", scope="notes.read"')

        def answer(self, status: int, content: object, challenge: str | None = None) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if challenge is not None:
                self.send_header("WWW-Authenticate", challenge)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keep requests out of the output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_sdk_signs_a_person_in_by_its_document(live_server, session, monkeypatch, tmp_path):
    user = protocol.add_person(session)
    person = Person(user.id, user.username, protocol.PASSWORD)
    port = free_port()
    with serving(tmp_path) as (publisher, _):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / CERTIFICATE))
        server = live_server(fetch_allow=f"localhost:{publisher.port}")
        client_id = publisher.put(
            document(
                f"https://localhost:{publisher.port}/oauth/client.json",
                client_name="MCP client",
                redirect_uris=["http://localhost/callback"],
            )
        )
        let_in(session)
        with resource_server(server.url) as address:
            api = protocol.add_api(session, address, ["notes.read"])
            api.open_to_strangers = True
            session.commit()
            environment = clean_environment()
            environment.pop("SSL_CERT_FILE")
            process = subprocess.Popen(
                [sys.executable, CLIENT, address, client_id, str(port)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            assert process.stderr is not None
            shown = re.search(r"Open (\S+)", process.stderr.readline())
            assert shown is not None, process.communicate()
            with Browser(server.url) as browser:
                stop = browser.answer(browser.open(shown[1]), person)
                assert isinstance(stop, Arrival), stop
            assert httpx.get(stop.url).status_code == 200
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
    told = json.loads(output)
    first, second = (protocol.payload(found["token"]) for found in told["tokens"])
    assert told["client"] == first["client_id"] == client_id
    assert (first["aud"], first["sub"]) == (address, str(user.id))
    assert second["jti"] != first["jti"]  # refreshed, without asking the person
