"""Get and refresh tokens for an MCP server as the MCP Python SDK does, known by a document.

Arguments: the address of the server, of the document, and the port of the redirect address. The
SDK as it comes: discovery, authorization, tokens. Afterwards the token is made to look expired.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from urllib.parse import parse_qsl

import httpx2
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl


class Memory(TokenStorage):
    """Keeps what the SDK keeps."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def wait(listener: socket.socket) -> AuthorizationCodeResult:
    """Wait for the browser to come back."""
    connection, _ = listener.accept()
    with connection:
        line = connection.recv(65_536).split(b"\r\n")[0].decode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    query = line.split(" ")[1].partition("?")[2]
    return AuthorizationCodeResult.model_validate(dict(parse_qsl(query)))


async def run(server: str, document: str, port: int) -> None:
    """Call the server twice, the second time with an expired token."""
    listener = socket.create_server(("127.0.0.1", port))

    async def show(url: str) -> None:
        sys.stderr.write(f"Open {url}\n")
        sys.stderr.flush()

    async def come_back() -> AuthorizationCodeResult:
        return await asyncio.to_thread(wait, listener)

    memory = Memory()
    address = AnyUrl(f"http://localhost:{port}/callback")
    auth = OAuthClientProvider(
        server,
        OAuthClientMetadata(redirect_uris=[address]),
        memory,
        show,
        come_back,
        client_metadata_url=document,
    )
    async with httpx2.AsyncClient(auth=auth, timeout=60) as http:
        first = (await http.get(server)).json()
        auth.context.token_expiry_time = 1.0
        second = (await http.get(server)).json()
    assert memory.client is not None
    found = {"client": memory.client.client_id, "tokens": [first, second]}
    sys.stdout.write(json.dumps(found))


asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
