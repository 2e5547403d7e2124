"""Run the root folder of the image as a container would: contained.py ROOT < story.json.

It needs mount, process and network namespaces of its own and root in them; what runs in the folder
has neither. The folder cannot be written to, there is no network but the loopback, and only `/data`
and `/tmp` take files. Prints as JSON what was seen.
"""

from __future__ import annotations

import ctypes
import fcntl
import http.cookiejar
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BOUNDING_SET_DROP, _NO_NEW_PRIVILEGES = 24, 38
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_SECONDS = 60
_TOKEN = re.compile(r'name="csrf_token"\s+value="([^"]+)"')


class Container:
    """The folder with the mounts of a container."""

    def __init__(self, root: Path, story: dict[str, Any]) -> None:
        self.root = root
        self.user = int(story["user"])
        self.environment: dict[str, str] = story["environment"]
        self._mount(story["secrets"])

    def _mount(self, secrets: dict[str, str]) -> None:
        mount("--bind", self.root, self.root)
        for name in ("tmp", "data", "dev", "run/secrets"):
            mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", self.root / name)
        mount("-t", "proc", "proc", self.root / "proc")
        os.chown(self.root / "data", self.user, self.user)
        (self.root / "data").chmod(0o700)
        for name in ("null", "zero", "random", "urandom"):
            (self.root / "dev" / name).touch()
            mount("--bind", f"/dev/{name}", self.root / "dev" / name)
        (self.root / "dev/shm").mkdir(mode=0o1777)
        for name, value in secrets.items():
            (self.root / "run/secrets" / name).write_text(f"{value}\n")
        mount("-o", "remount,ro", self.root / "run/secrets")
        mount("-o", "remount,bind,ro", self.root)

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a program in it, as its user."""
        return subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=self._enter,  # noqa: PLW1509 - this program has one thread
        )

    def run(self, command: list[str]) -> str:
        """Run a program in it to its end; return what it wrote."""
        process = self.start(command)
        output, _ = process.communicate(timeout=_SECONDS)
        if process.returncode:
            sys.exit(f"{command[0]} ended with {process.returncode}: {output}")
        return output

    def _enter(self) -> None:
        os.chroot(self.root)
        os.chdir("/data")
        prctl = ctypes.CDLL(None).prctl
        for capability in range(64):
            prctl(_BOUNDING_SET_DROP, capability, 0, 0, 0)
        os.setgroups([])
        os.setresgid(self.user, self.user, self.user)
        os.setresuid(self.user, self.user, self.user)
        prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def open_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = b"lo".ljust(16, b"\0")
        found = fcntl.ioctl(any_socket, _GET_FLAGS, name + bytes(16))
        (flags,) = struct.unpack_from("H", found, 16)
        fcntl.ioctl(any_socket, _SET_FLAGS, name + struct.pack("H14x", flags | _UP))


def wait(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + _SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            sys.exit(f"the server is not ready: {process.communicate()[0]}")
        time.sleep(0.05)


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5):
            return True
    except OSError:
        return False


def visit(url: str, password: str) -> dict[str, Any]:
    """Read what applications read, and sign in as a person would."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(jar)
    with browser.open(f"{url}/.well-known/openid-configuration") as answer:
        issuer = json.load(answer)["issuer"]
    with browser.open(f"{url}/login") as page:
        token = _TOKEN.search(page.read().decode())
    assert token
    form = {"csrf_token": token[1], "login": "admin", "password": password}
    with browser.open(f"{url}/login", urllib.parse.urlencode(form).encode()) as page:
        landed = urllib.parse.urlsplit(page.url).path
    request = urllib.request.Request(f"{url}/account", headers={"Accept-Language": "zh"})
    with browser.open(request) as page:
        return {"issuer": issuer, "landed": landed, "account": page.read().decode()}


def main(root: str) -> None:
    story = json.load(sys.stdin)
    open_loopback()
    container = Container(Path(root), story)
    seen: dict[str, Any] = {"probe": container.run([*story["python"], "-c", story["probe"]])}
    seen["setup"] = container.run([*story["entrypoint"], "setup"])
    server = container.start([*story["entrypoint"], *story["command"]])
    url = story["environment"]["IDP_PUBLIC_URL"]
    wait(lambda: is_ready(url), server)
    seen |= visit(url, story["secrets"]["admin_password"])
    started = time.monotonic()
    server.send_signal(signal.Signals[story["stop_signal"]])
    seen["output"], _ = server.communicate(timeout=_SECONDS)
    seen |= {"code": server.returncode, "seconds": time.monotonic() - started}
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
