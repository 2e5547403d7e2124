"""Call a tool of an MCP server as a person; needs `pip install mcp`.

    python mcp_client.py https://mcp.example.com/mcp notes-terminal whoami

The application is registered beforehand, with the address http://127.0.0.1/callback. With ""
for its name the program registers itself, where the issuer lets applications do so.
"""

from __future__ import annotations

import asyncio
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl


class Memory(TokenStorage):
    """Keeps tokens for as long as the program runs, and the client that it is."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self.client = client
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens, if there are any yet."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep new tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the registered client, if there is one yet."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep a client that was registered just now."""
        self.client = client_info


class Callback(HTTPServer):
    """Waits on a free port for the browser to come back."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.address = f"http://127.0.0.1:{self.server_port}/callback"
        self.fields: dict[str, str] = {}

    async def wait(self) -> AuthorizationCodeResult:
        """Return what the browser brings."""
        while "state" not in self.fields:
            await asyncio.to_thread(self.handle_request)
        if "code" not in self.fields:
            raise SystemExit(self.fields.get("error_description", "Refused"))
        return AuthorizationCodeResult.model_validate(self.fields)


class _Answer(BaseHTTPRequestHandler):
    server: Callback

    def do_GET(self) -> None:
        self.server.fields = dict(parse_qsl(urlsplit(self.path).query))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"You may close this window.")

    def log_message(self, *_: object) -> None:
        """Keep the code out of the terminal."""


async def show(url: str) -> None:
    """Ask the person to sign in."""
    print(f"Open {url}", file=sys.stderr, flush=True)


async def call(server: str, client_id: str, tool: str) -> str:
    """Sign in, call a tool and return its text."""
    callback = Callback()
    addresses = [AnyUrl(callback.address)]
    known = None
    if client_id:
        known = OAuthClientInformationFull(client_id=client_id, redirect_uris=addresses)
    own = OAuthClientMetadata(
        client_name="Notes in a terminal",
        redirect_uris=addresses,
        token_endpoint_auth_method="none",  # noqa: S106 - names a method
    )
    auth = OAuthClientProvider(server, own, Memory(known), show, callback.wait)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=300) as http,
        Client(streamable_http_client(server, http_client=http)) as client,
    ):
        result = await client.call_tool(tool)
    return str(result.content[0].text)


if __name__ == "__main__":
    print(asyncio.run(call(*sys.argv[1:4])))
