"""A web server of applications that nobody registered: it publishes what they say of themselves."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy.orm import Session

from idp.directory.clients.models import StrangerPolicy
from idp.platform import documents, fetch
from idp.platform.documents import Documents
from idp.platform.fetch import Fetcher
from idp.platform.runtime import Runtime
from tests.protocol import App

HOSTS = ("client.example", "other.example", "claude-ai.example", "localhost")
ID = "https://client.example/oauth/client.json"
CALLBACK = "https://client.example/callback"
APP = App(ID, None, 0)
NETWORK = "127.0.0.0/8"
CERTIFICATE = "publisher.pem"


@dataclass
class Page:
    """One answer."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """How long it takes."""


@dataclass
class Publisher:
    """What is at which address, and what was asked for."""

    port: int
    pages: dict[str, Page | Callable[[], Page]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    """Hosts that are not found."""
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """What names resolve to; others to this server."""

    def put(self, document: Mapping[str, Any], url: str | None = None, **page: Any) -> str:
        """Publish a document at its id, or elsewhere; return the address."""
        address = url or document["client_id"]
        self.pages[address] = Page(json.dumps(document).encode(), **page)
        return str(address)


def document(client_id: str = ID, **members: Any) -> dict[str, Any]:
    """Return a document with all that is needed; None leaves a member out."""
    host = client_id.partition("://")[2].partition("/")[0]
    complete = {
        "client_id": client_id,
        "client_name": "Notes",
        "redirect_uris": [f"https://{host}/callback"],
        "token_endpoint_auth_method": "none",
        **members,
    }
    return {name: value for name, value in complete.items() if value is not None}


def let_in(session: Session, tenant_id: int = 1, **columns: Any) -> StrangerPolicy:
    """Make an issuer take clients by their documents."""
    row = StrangerPolicy(tenant_id=tenant_id, **{"clients_by_document": "any", **columns})
    session.add(row)
    session.commit()
    return row


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[Publisher, ssl.SSLContext]]:
    """Serve documents on loopback; yield the server and what trusts it.

    The certificate is in `folder`, see `CERTIFICATE`.
    """
    server_context, client_context = _contexts(folder)
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    publisher = Publisher(server.server_port)
    handler.publisher = publisher  # type: ignore[attr-defined]
    server.socket = server_context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield publisher, client_context
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def publishing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> Iterator[Publisher]:
    """Serve the hosts of this module on loopback, for the fetches of one runtime."""
    with serving(folder) as (publisher, context):
        real = socket.getaddrinfo

        def resolve(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
            if not str(host).endswith(".example"):
                return real(host, port, *arguments, **options)
            if host in publisher.hidden:
                raise socket.gaierror
            found = publisher.addresses.get(host, ["127.0.0.1"])
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(fetch, "_HTTPS_PORT", publisher.port)
        given = runtime.documents
        fetcher = Fetcher(NETWORK, context=context, concurrent=documents.CONCURRENT)
        runtime.documents = Documents(fetcher, runtime.throttle, 6000)
        try:
            yield publisher
        finally:
            runtime.documents.close()
            runtime.documents = given


class _Handler(BaseHTTPRequestHandler):
    publisher: Publisher

    def do_GET(self) -> None:
        url = f"https://{self.headers['Host']}{self.path}"
        self.publisher.asked.append(url)
        found = self.publisher.pages.get(url, Page(b"", status=404))
        page = found if isinstance(found, Page) else found()
        time.sleep(page.seconds)
        with contextlib.suppress(OSError):
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(page.body)))
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page.body)

    def log_message(self, *_arguments: object) -> None:
        """Keep requests out of the output."""


def _contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = folder / CERTIFICATE
    own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(own + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
