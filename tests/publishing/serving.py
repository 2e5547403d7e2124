"""Small servers of our own that tests name to the product."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs


class Site:
    """A web site with a few files, on a free port of this host."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.paths: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.paths.append(self.path)
                content = site.files.get(self.path.partition("?")[0])
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # whoever asked has enough
                    self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"

    def put(self, path: str, content: bytes) -> str:
        """Serve a file and give its address."""
        self.files[path] = content
        return f"{self.url}{path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()


class GitServer:
    """Bare repositories behind the real `git http-backend`, for callers with the token."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        self.agents: set[str] = set()
        programs = subprocess.run(
            ["git", "--exec-path"], capture_output=True, text=True, check=True
        ).stdout.strip()
        backend = Path(programs) / "git-http-backend"
        git = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                git.agents.add(self.headers["User-Agent"])
                if self.headers.get("Authorization") != f"Basic {git.credentials}":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                path, _, query = self.path.partition("?")
                done = subprocess.run(
                    [backend],
                    input=self.rfile.read(int(self.headers.get("Content-Length", "0"))),
                    capture_output=True,
                    env={
                        **os.environ,
                        "GIT_PROJECT_ROOT": str(git.folder),
                        "GIT_HTTP_EXPORT_ALL": "1",
                        "REMOTE_USER": "sdk",
                        "PATH_INFO": path,
                        "QUERY_STRING": query,
                        "REQUEST_METHOD": self.command,
                        "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                        "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    },
                )
                head, _, body = done.stdout.partition(b"\r\n\r\n")
                lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
                headers = dict(lines)
                self.send_response(int(headers.pop("Status", "200").split()[0]))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def make(self, name: str) -> Path:
        """Make an empty repository that takes pushes."""
        path = self.folder / f"{name}.git"
        self.git("init", "--quiet", "--bare", "--initial-branch=trunk", str(path))
        self.git("-C", str(path), "config", "http.receivepack", "true")
        return path

    def git(self, *arguments: str, **options: str) -> str:
        """Run git as the owner of the server would."""
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments],
            capture_output=True,
            text=True,
            check=True,
            **options,
        ).stdout

    def files(self, path: Path, branch: str = "HEAD") -> list[str]:
        """List what a branch of a repository holds."""
        return self.git("-C", str(path), "ls-tree", "-r", "--name-only", branch).splitlines()

    def read(self, path: Path, name: str) -> str:
        """Read a file of the default branch."""
        return self.git("-C", str(path), "show", f"HEAD:{name}")

    def stop(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()


class Labels:
    """GitHub's REST API as far as the labels of one repository go."""

    def __init__(self, repository: str, token: str) -> None:
        self.token = token
        self.names: list[str] = []
        self.agents: set[str] = set()
        github = self
        place = f"/api/v3/repos/{repository}/labels"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                number = int(parse_qs(query)["page"][0])
                rows = [{"name": name} for name in github.names[(number - 1) * 100 :][:100]]
                self.answer(path, 200, rows)

            def do_POST(self) -> None:
                requested = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                is_new = requested["name"].lower() not in [name.lower() for name in github.names]
                if is_new:
                    github.names.append(requested["name"])
                self.answer(self.path, 201 if is_new else 422, requested)

            def answer(self, path: str, status: int, content: object) -> None:
                github.agents.add(self.headers["User-Agent"])
                if self.headers["Authorization"] != f"Bearer {github.token}":
                    status = 401
                elif path != place:
                    status = 404
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
