"""An MCP server that people sign in to; needs `pip install mcp` and verify_token.py beside it.

    python mcp_server.py https://id.example.com https://mcp.example.com/mcp 9000

The last word is the port of this machine to listen on, behind whatever speaks TLS.
"""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from verify_token import RefusedError, Verifier


class Tokens(TokenVerifier):
    """Accepts access tokens of one issuer that are for this server, and no others."""

    def __init__(self, issuer: str, address: str) -> None:
        self.address = address
        self.verifier = Verifier([issuer], audience=address)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a token says of its sender; None: it does not open this server."""
        try:
            claims = await asyncio.to_thread(self.verifier.verify, token)
        except RefusedError:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims["scope"].split(),
            expires_at=claims["exp"],
            resource=self.address,
            subject=claims["sub"],
            claims=claims,
        )


def create(issuer: str, address: str) -> MCPServer:
    """Return the server with its tools."""
    auth = AuthSettings.model_validate(
        {
            "issuer_url": issuer,
            "resource_server_url": address,
            "required_scopes": ["notes.read"],
            "validate_token_resource": True,
        }
    )
    server = MCPServer("Notes", token_verifier=Tokens(issuer, address), auth=auth)

    @server.tool()
    def whoami() -> str:
        """Return who calls, by which application, and what they may do."""
        token = get_access_token()
        if token is None or token.claims is None:
            raise PermissionError  # the server lets nobody in without one
        told = {"person": token.subject, "application": token.client_id}
        return json.dumps(told | {"permissions": token.claims.get("permission", [])})

    return server


if __name__ == "__main__":
    issuer, address, port = sys.argv[1:4]
    place = urlsplit(address)
    create(issuer, address).run(
        "streamable-http",
        port=int(port),
        streamable_http_path=place.path,
        transport_security=TransportSecuritySettings(allowed_hosts=[place.netloc]),
    )
