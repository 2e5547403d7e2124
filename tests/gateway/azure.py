"""A recorded API Management service: it checks signatures and remembers what it is asked for."""

from __future__ import annotations

import base64
import hmac
import json
import re
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

IDENTIFIER = "integration"
KEY = "the-primary-key-of-the-gateway"
_SIGNATURE = re.compile(r"SharedAccessSignature uid=([^&]+)&ex=([^&]+)&sn=([A-Za-z0-9+/=]+)")


class FakeAzure:
    """Answers on loopback; `fail` makes it refuse what comes at a path."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.fail: dict[str, int] = {}
        self.collections: dict[str, Any] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                status, content = 200, fake.collections.get(parts.path, {})
                if not fake.is_signed(self.headers.get("Authorization", "")):
                    status, content = 401, {"error": "signature"}
                elif query.get("api-version") != "2018-01-01":
                    status, content = 400, {"error": "api-version"}
                else:
                    kind = self.headers.get("Content-Type", "")
                    sent = json.loads(body) if body and "json" in kind else body.decode()
                    fake.requests.append((self.command, parts.path, query | {"type": kind}, sent))
                    status = fake.fail.get(parts.path, 200)
                text = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def is_signed(self, header: str) -> bool:
        """Check a shared-access signature as the service documents it."""
        found = _SIGNATURE.fullmatch(header)
        if found is None:
            return False
        identifier, expiry, signature = found.groups()
        expected = hmac.digest(KEY.encode(), f"{identifier}\n{expiry}".encode(), "sha512")
        until = datetime.fromisoformat(expiry.partition(".")[0]).replace(tzinfo=UTC)
        days = (until - datetime.now(UTC)).total_seconds() / 86_400
        is_valid = identifier == IDENTIFIER and 9.9 < days < 10.1
        return is_valid and base64.b64decode(signature) == expected

    def paths(self) -> list[str]:
        """List what was asked for, and forget it."""
        requests = [f"{method} {path}" for method, path, _, _ in self.requests]
        self.requests.clear()
        return requests

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
