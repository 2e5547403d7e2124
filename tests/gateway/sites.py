"""Services of ours behind a gateway: they describe themselves, and tell what reaches them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Site:
    """A server on loopback with descriptions under fixed paths; all else is echoed as JSON."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: dict[str, bytes] = {}
        self.fetched: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                path = self.path.partition("?")[0]
                site.fetched.append(path)
                if path in site.files:
                    content = site.files[path]
                else:
                    content = json.dumps(
                        {
                            "site": site.name,
                            "method": self.command,
                            "path": self.path,
                            "headers": [[name, value] for name, value in self.headers.items()],
                            "body": body.decode(),
                        }
                    ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def describe(self, path: str, content: Any) -> str:
        """Serve a description and give its address."""
        self.files[path] = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.origin + path

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def open_site(name: str) -> Iterator[Site]:
    """Serve until the end of the block."""
    site = Site(name)
    try:
        yield site
    finally:
        site.close()


def description(server: str, *, title: str = "Orders", **paths: Any) -> dict[str, Any]:
    """Write an OpenAPI 3 description with two operations, and more or others by name."""
    answer = {"description": "Done"}
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "1"},
        "servers": [{"url": server}],
        "paths": {
            "/orders": {
                "get": {"summary": "List orders", "responses": {"200": answer}},
                "post": {"summary": "Make an order", "responses": {"201": answer}},
            },
            **paths,
        },
    }
