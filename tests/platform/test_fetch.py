"""Fetching addresses that others name: nothing inner, nothing endless, nothing unrequested."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from idp.config import SettingsError
from idp.platform import fetch
from idp.platform.errors import BadRequest, Busy, Unavailable
from idp.platform.fetch import Fetcher, is_public

pytestmark = pytest.mark.no_database

PUBLIC = "93.184.215.14"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Answer = Callable[[socket.socket], None]


def sends(raw: bytes) -> Answer:
    return lambda connection: connection.sendall(raw)


def body(content: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content


@dataclass
class Server:
    """A server on loopback that answers with raw bytes, and remembers what it was asked."""

    port: int
    answer: Answer = sends(body(b"{}"))  # noqa: RUF009 - a function
    requests: list[bytes] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


def serve(context: ssl.SSLContext | None = None) -> tuple[Server, Callable[[], None]]:
    """Start a server; the second value stops it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1])
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: server.server_names.append(name)

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            handle = threading.Thread(target=converse, args=(server, connection, context))
            handle.daemon = True
            handle.start()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def stop() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()

    return server, stop


def converse(server: Server, connection: socket.socket, context: ssl.SSLContext | None) -> None:
    """Read a request and answer it."""
    # The client may go away in the middle, as it should of many of these servers.
    with contextlib.suppress(OSError), contextlib.closing(connection):
        connection.settimeout(10)
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                received = connection.recv(4096)
                if not received:
                    return
                request += received
            server.requests.append(request)
            server.answer(connection)


@pytest.fixture
def server() -> Iterator[Server]:
    server, stop = serve()
    yield server
    stop()


@pytest.fixture
def fetcher(server: Server) -> Iterator[Fetcher]:
    """Return a fetcher that may talk to the server."""
    fetcher = Fetcher(server.host)
    yield fetcher
    fetcher.close()


@pytest.fixture
def guarded() -> Iterator[Fetcher]:
    """Return a fetcher without exceptions."""
    fetcher = Fetcher("")
    yield fetcher
    fetcher.close()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which addresses are connected to; none is."""
    seen: list[str] = []

    def connect(_socket: socket.socket, address: tuple[str, int]) -> None:
        seen.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Answer each question for addresses with the next list, the last one for ever."""
    hosts: list[str] = []
    left = list(answers)

    def getaddrinfo(host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        hosts.append(host)
        now = left.pop(0) if len(left) > 1 else left[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in now
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return hosts


def test_a_plain_answer_is_given_as_it_is(fetcher: Fetcher, server: Server) -> None:
    server.answer = sends(body(b'{"keys": []}'))
    assert fetcher.get(server.url + "?a=b;c") == b'{"keys": []}'
    (request,) = server.requests
    lines = request.decode().split("\r\n")
    assert lines[0] == "GET /keys?a=b;c HTTP/1.1"
    assert f"Host: {server.host}" in lines
    assert "Accept-Encoding: identity" in lines
    assert "Connection: close" in lines


def test_a_chunked_answer_and_one_without_length_are_read(fetcher: Fetcher, server: Server) -> None:
    server.answer = sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert fetcher.get(server.url) == b"{}"
    server.answer = sends(HEAD + b"\r\n{}")
    assert fetcher.get(server.url) == b"{}"


# The address by its form


@pytest.mark.parametrize(
    "url",
    [
        "http://rp.example/keys",
        "https://rp.example:8443/keys",
        "https://rp.example:0/",
        "https://rp.example:99999/",
        "https://rp.example:x/",
        "ftp://rp.example/keys",
        "file:///etc/passwd",
        "file://rp.example/etc/passwd",
        "gopher://rp.example:443/_GET",
        "dict://rp.example:443/",
        "javascript:alert(1)",
        "data:application/json,{}",
        "//rp.example/keys",
        "/keys",
        "keys",
        "",
        "https:rp.example",
        "https:///keys",
        "https://user@rp.example/",
        "https://user:password@rp.example/",
        "https://@rp.example/",
        "https://rp.example@127.0.0.1/",
        "https://rp.example/#fragment",
        "https://rp.example\\@127.0.0.1/",
        "https://rp.example/\r\nHost: inner",
        "https://rp.example/ keys",
        "https://rp.exam\tple/",
        "https://rp.example/\N{LATIN SMALL LETTER E WITH ACUTE}",
        "https://\N{FULLWIDTH DIGIT ONE}27.0.0.1/",
        "https://127%2e0.0.1/",
        "https://rp..example/",
        "https://-rp.example/",
        "https://rp.example/" + "a" * 2000,
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[vF.1]/",
    ],
)
def test_an_address_of_a_wrong_form_is_refused(
    guarded: Fetcher, connected: list[str], url: str
) -> None:
    with pytest.raises(BadRequest):
        guarded.check(url)
    with pytest.raises(BadRequest):
        guarded.get(url)
    assert connected == []


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "0",
        "0x0",
        "1.2.3.4.5",
        "256.1.1.1",
        "rp.example.1",
    ],
)
def test_numbers_that_resolvers_take_for_addresses_are_refused(
    guarded: Fetcher, connected: list[str], host: str
) -> None:
    with pytest.raises(BadRequest):
        guarded.get(f"https://{host}/")
    assert connected == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - to be refused
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
        "localhost",
        "localhost.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[2002:7f00:1::]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::1]",
    ],
)
def test_inner_addresses_are_refused_in_every_notation(
    guarded: Fetcher, connected: list[str], host: str
) -> None:
    with pytest.raises(Unavailable) as refusal:
        guarded.get(f"https://{host}/")
    assert refusal.value.debug == "an address that is not public"
    assert connected == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("172.32.0.1", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("2002:808:808::", True),
        ("64:ff9b::808:808", True),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("203.0.113.1", False),
        ("192.88.99.1", False),
        ("240.0.0.1", False),
        ("2001:db8::1", False),
        ("2001:10::1", False),
        ("2001:20::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("100::1", False),
        ("4000::1", False),
        # Teredo: the client's address is stored inverted.
        ("2001:0:808:808:0:0:f7f7:f7f7", True),
        ("2001:0:808:808:0:0:80ff:fffe", False),
        ("2001:0:7f00:1:0:0:f7f7:f7f7", False),
    ],
)
def test_what_is_public_is_told_in_every_form(address: str, expected: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is expected


# The address by what the name means


def test_one_inner_address_among_public_ones_refuses_the_name(
    guarded: Fetcher, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for answers in ([PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::ffff:10.0.0.1"]):
        resolve_to(monkeypatch, answers)
        with pytest.raises(Unavailable):
            guarded.get("https://rp.example/keys")
    assert connected == []


def test_a_name_that_changes_its_mind_gains_nothing(
    guarded: Fetcher, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = resolve_to(monkeypatch, [PUBLIC], ["127.0.0.1"])
    with pytest.raises(Unavailable):
        guarded.get("https://rp.example/keys")
    assert hosts == ["rp.example"]
    assert connected == [PUBLIC]
    with pytest.raises(Unavailable) as refusal:
        guarded.get("https://rp.example/keys")
    assert refusal.value.debug == "an address that is not public"
    assert connected == [PUBLIC]


def test_a_few_addresses_are_tried_and_no_more(
    guarded: Fetcher, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, [f"8.8.8.{number}" for number in range(100)])
    with pytest.raises(Unavailable):
        guarded.get("https://rp.example/keys")
    assert len(connected) == 4


def test_a_refusal_does_not_tell_what_is_behind_the_name(
    guarded: Fetcher, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, ["10.0.0.1"], [PUBLIC])
    details = set()
    for _ in range(2):
        with pytest.raises(Unavailable) as refusal:
            guarded.get("https://rp.example/keys")
        details.add(refusal.value.detail)
    assert len(details) == 1
    assert "10.0.0.1" not in details.pop()


def test_an_unknown_name_is_unavailable(guarded: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(Unavailable):
        guarded.get("https://nowhere.example/")
    resolve_to(monkeypatch, [])
    with pytest.raises(Unavailable):
        guarded.get("https://nowhere.example/")


def test_a_slow_name_server_does_not_hold_the_caller(
    guarded: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: done.wait(10) or [])
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        guarded.get("https://slow.example/", timeout=0.2)
    assert time.monotonic() - begun < 2
    done.set()


# What a hostile server answers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(fetcher: Fetcher, server: Server, status: int) -> None:
    server.answer = sends(
        b"HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/inner\r\nContent-Length: 2\r\n\r\n{}"
        % (status, server.port)
    )
    with pytest.raises(Unavailable) as refusal:
        fetcher.get(server.url)
    assert refusal.value.debug == f"status {status}"
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 404, 500, 503])
def test_only_a_plain_success_is_taken(fetcher: Fetcher, server: Server, status: int) -> None:
    server.answer = sends(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status)
    with pytest.raises(Unavailable):
        fetcher.get(server.url)


def test_a_slow_drip_ends_at_the_deadline(fetcher: Fetcher, server: Server) -> None:
    def drip(head: bytes, content: bytes) -> Answer:
        def answer(connection: socket.socket) -> None:
            connection.sendall(head)
            for _ in range(200):
                connection.sendall(content)
                time.sleep(0.05)

        return answer

    for answer in (
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip(HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
        drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ):
        server.answer = answer
        begun = time.monotonic()
        with pytest.raises(Unavailable) as refusal:
            fetcher.get(server.url, timeout=0.4)
        assert time.monotonic() - begun < 2
        assert refusal.value.debug == "too slow"


def test_a_server_that_says_nothing_ends_at_the_deadline(fetcher: Fetcher, server: Server) -> None:
    server.answer = lambda _connection: time.sleep(3)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        fetcher.get(server.url, timeout=0.2)
    assert time.monotonic() - begun < 2


def flood(head: bytes, content: bytes, sent: list[int]) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        sent.append(0)
        for _ in range(2000):
            connection.sendall(content)
            sent[-1] += len(content)

    return answer


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (HEAD + b"Content-Length: 131072000\r\n\r\n", b" " * 65536),
        (HEAD + b"\r\n", b" " * 65536),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 3000),
        (b"", b"y" * 65536),
    ],
    ids=["length", "no length", "chunks", "header", "headers", "100", "status"],
)
def test_a_huge_answer_is_cut_off(
    fetcher: Fetcher, server: Server, head: bytes, content: bytes
) -> None:
    sent: list[int] = []
    server.answer = flood(head, content, sent)
    with pytest.raises(Unavailable) as refusal:
        fetcher.get(server.url)
    assert refusal.value.debug in {"the answer is too large", "LineTooLong", "HTTPException"}
    time.sleep(0.1)
    assert sent[0] < 20_000_000  # what socket buffers swallowed, not the whole


def test_the_first_of_two_lengths_is_believed(fetcher: Fetcher, server: Server) -> None:
    head = HEAD + b"Content-Length: 10\r\nContent-Length: 131072000\r\n\r\n"
    server.answer = flood(head, b" " * 65536, [])
    assert len(fetcher.get(server.url)) == 10


def test_the_size_cap_is_exact(fetcher: Fetcher, server: Server) -> None:
    server.answer = sends(body(b"x" * 1000))
    assert len(fetcher.get(server.url, max_bytes=1000)) == 1000
    with pytest.raises(Unavailable):
        fetcher.get(server.url, max_bytes=999)
    server.answer = sends(HEAD + b"\r\n" + b"x" * 1000)
    assert len(fetcher.get(server.url, max_bytes=1000)) == 1000
    with pytest.raises(Unavailable):
        fetcher.get(server.url, max_bytes=999)


def test_an_answer_that_is_cut_off_is_not_taken(fetcher: Fetcher, server: Server) -> None:
    for raw in (
        HEAD + b"Content-Length: 10\r\n\r\n{}",
        HEAD + b"Content-Length: 10\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 20",
        b"",
    ):
        server.answer = sends(raw)
        with pytest.raises(Unavailable):
            fetcher.get(server.url)


def test_a_gzip_bomb_is_not_opened(fetcher: Fetcher, server: Server) -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    assert len(bomb) < 64 * 1024
    for coding in (b"gzip", b"x-gzip", b"deflate", b"br", b"identity, gzip"):
        server.answer = sends(
            HEAD
            + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(bomb))
            + bomb
        )
        with pytest.raises(Unavailable) as refusal:
            fetcher.get(server.url)
        assert refusal.value.debug == "a compressed answer"


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"+OK\r\n",
        b"\x16\x03\x01\x00",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}",
    ],
)
def test_what_is_not_http_is_not_shown(fetcher: Fetcher, server: Server, raw: bytes) -> None:
    server.answer = sends(raw)
    with pytest.raises(Unavailable) as refusal:
        fetcher.get(server.url)
    told = f"{refusal.value.detail} {refusal.value.debug}"
    assert "OpenSSH" not in told
    assert "OK" not in told


def test_a_proxy_of_the_environment_is_not_used(
    fetcher: Fetcher, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetcher.get(server.url) == b"{}"


def test_slow_servers_do_not_pile_up(fetcher: Fetcher, server: Server) -> None:
    release = threading.Event()

    def hold(connection: socket.socket) -> None:
        release.wait(10)
        connection.sendall(body(b"{}"))

    server.answer = hold
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: got.append(fetcher.get(server.url, timeout=10)))
        for _ in range(fetch.CONCURRENT)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while len(server.requests) < fetch.CONCURRENT and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(Unavailable, match="Too many"):
        fetcher.get(server.url, timeout=0.1)
    release.set()
    for thread in threads:
        thread.join()
    assert got == [b"{}"] * fetch.CONCURRENT
    assert fetcher.get(server.url) == b"{}"


# TLS


@dataclass
class Authority:
    """A certificate authority of this test, and a certificate for rp.example."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rp.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("rp.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = tmp_path / "rp.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return Authority(server, ssl.create_default_context(cafile=str(pem)))


@pytest.fixture
def secure_server(authority: Authority) -> Iterator[Server]:
    server, stop = serve(authority.server)
    yield server
    stop()


def test_https_is_checked_against_the_name_and_connected_to_the_address(
    secure_server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = resolve_to(monkeypatch, ["127.0.0.1"])
    monkeypatch.setattr(fetch, "_HTTPS_PORT", secure_server.port)
    fetcher = Fetcher("127.0.0.0/8", context=authority.client)
    url = f"https://rp.example:{secure_server.port}/keys"
    assert fetcher.get(url) == b"{}"
    assert hosts == ["rp.example"]
    assert secure_server.server_names == ["rp.example"]

    with pytest.raises(Unavailable) as refusal:
        fetcher.get(url.replace("rp.example", "other.example"))
    assert refusal.value.debug == "SSLCertVerificationError"
    fetcher.close()

    stranger = Fetcher("127.0.0.0/8")
    with pytest.raises(Unavailable) as refusal:
        stranger.get(url)
    assert refusal.value.debug == "SSLCertVerificationError"
    stranger.close()


def test_a_handshake_that_never_ends_ends_at_the_deadline(
    server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, ["127.0.0.1"])
    fetcher = Fetcher(f"rp.example:{server.port}", context=authority.client)
    begun = time.monotonic()
    with pytest.raises(Unavailable):  # the server waits for the end of a request in clear text
        fetcher.get(f"https://rp.example:{server.port}/", timeout=0.3)
    assert time.monotonic() - begun < 2
    fetcher.close()


# Exceptions of the operator


def test_a_named_host_may_be_inner_plain_and_on_any_port(server: Server) -> None:
    for allow in (server.host, "127.0.0.1", f"other.example, {server.host.upper()} ,"):
        assert Fetcher(allow).get(server.url) == b"{}"
    for allow in (f"127.0.0.1:{server.port + 1}", "127.0.0.2", "127.0.0.0/8"):
        with pytest.raises(BadRequest):
            Fetcher(allow).get(server.url)


def test_a_named_host_is_still_fetched_by_http_only() -> None:
    fetcher = Fetcher("127.0.0.1, rp.example")
    for url in ("ftp://127.0.0.1/", "gopher://rp.example/", "file://rp.example/etc/passwd"):
        with pytest.raises(BadRequest):
            fetcher.get(url)


def test_a_network_may_be_inner_over_https(
    connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher = Fetcher("10.1.0.0/16,fd00::/8")
    resolve_to(monkeypatch, ["10.1.2.3", "fd00::1"], ["10.2.0.1"], ["10.1.2.3", "10.2.0.1"])
    for _ in range(3):
        with pytest.raises(Unavailable):
            fetcher.get("https://inner.example/")
    assert connected == ["10.1.2.3", "fd00::1"]
    with pytest.raises(BadRequest):
        fetcher.get("http://inner.example/")
    fetcher.close()


@pytest.mark.parametrize(
    "allow",
    ["10.0.0.0/33", "http://host", "user@host", "host:port", "ho st", "10.0.0.1/8", "::1::"],
)
def test_a_wrong_exception_is_refused_at_start(allow: str) -> None:
    with pytest.raises(SettingsError, match="IDP_FETCH_ALLOW"):
        Fetcher(allow)


@pytest.mark.parametrize("allow", ["::1", "[::1]", "[::1]:443", "LOCALHOST.", "a_b.internal:80"])
def test_hosts_of_every_form_can_be_excepted(allow: str) -> None:
    assert Fetcher(allow)


# The cache of JSON documents


def age(fetcher: Fetcher, url: str, seconds: float) -> None:
    entry = fetcher._entries[url]
    entry.fetched_at -= seconds
    entry.failed_at -= seconds


def test_a_document_is_fetched_once_while_it_is_young(fetcher: Fetcher, server: Server) -> None:
    server.answer = sends(body(b'{"a": 1}'))
    for _ in range(3):
        assert fetcher.get_json(server.url) == {"a": 1}
    age(fetcher, server.url, 299)
    fetcher.get_json(server.url)
    assert len(server.requests) == 1
    age(fetcher, server.url, 2)
    server.answer = sends(body(b'{"a": 2}'))
    assert fetcher.get_json(server.url) == {"a": 2}
    assert len(server.requests) == 2


def test_a_forced_refresh_happens_every_thirty_seconds_at_most(
    fetcher: Fetcher, server: Server
) -> None:
    for _ in range(5):
        fetcher.get_json(server.url, refresh=True)
    assert len(server.requests) == 1
    age(fetcher, server.url, 31)
    for _ in range(5):
        fetcher.get_json(server.url, refresh=True)
    assert len(server.requests) == 2


def test_a_failing_server_is_not_hammered(fetcher: Fetcher, server: Server) -> None:
    server.answer = sends(b"HTTP/1.1 500 No\r\n\r\n")
    for _ in range(5):
        with pytest.raises(Unavailable):
            fetcher.get_json(server.url, refresh=True)
    assert len(server.requests) == 1
    age(fetcher, server.url, 11)
    server.answer = sends(body(b'{"a": 1}'))
    assert fetcher.get_json(server.url) == {"a": 1}


def test_an_old_document_serves_for_an_hour_while_its_server_fails(
    fetcher: Fetcher, server: Server
) -> None:
    server.answer = sends(body(b'{"a": 1}'))
    fetcher.get_json(server.url)
    server.answer = sends(b"HTTP/1.1 500 No\r\n\r\n")
    age(fetcher, server.url, 301)
    assert fetcher.get_json(server.url) == {"a": 1}
    assert fetcher.get_json(server.url, refresh=True) == {"a": 1}
    assert len(server.requests) == 2
    age(fetcher, server.url, 3600)
    with pytest.raises(Unavailable):
        fetcher.get_json(server.url)


@pytest.mark.parametrize("content", [b"[]", b"7", b"", b"{", b"<html>", b"\xff"])
def test_what_is_not_a_json_object_is_refused(
    fetcher: Fetcher, server: Server, content: bytes
) -> None:
    server.answer = sends(body(content))
    with pytest.raises(Unavailable, match="JSON object"):
        fetcher.get_json(server.url)


def test_an_address_of_a_wrong_form_stays_refused_from_the_cache(guarded: Fetcher) -> None:
    for _ in range(2):
        with pytest.raises(BadRequest):
            guarded.get_json("http://rp.example/")


@contextlib.contextmanager
def waiting(fetcher: Fetcher, server: Server, *urls: str) -> Iterator[list[object]]:
    """Make callers wait for a server that says nothing yet; then it answers, and they get that."""
    release = threading.Event()

    def hold(connection: socket.socket) -> None:
        release.wait(10)
        connection.sendall(body(b'{"a": 1}'))

    server.answer = hold
    got: list[object] = []
    known = len(server.requests)
    threads = [
        threading.Thread(target=lambda url=url: got.append(fetcher.get_json(url))) for url in urls
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while len(server.requests) < known + len(urls) and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield got
    finally:
        release.set()
        for thread in threads:
            thread.join()


def test_one_caller_waits_for_an_address_and_the_next_is_told_to_come_back(
    fetcher: Fetcher, server: Server
) -> None:
    with waiting(fetcher, server, server.url) as got:
        for _ in range(20):
            with pytest.raises(Busy) as refusal:
                fetcher.get_json(server.url)
            assert int(refusal.value.headers["Retry-After"]) > 0
        assert got == []
    assert got == [{"a": 1}]
    assert len(server.requests) == 1
    assert fetcher.get_json(server.url) == {"a": 1}


def test_two_callers_wait_for_documents_and_no_more(fetcher: Fetcher, server: Server) -> None:
    server.answer = sends(body(b'{"a": 1}'))
    known, other = f"{server.url}/known", f"{server.url}/other"
    fetcher.get_json(known)
    age(fetcher, known, 301)
    with waiting(fetcher, server, f"{server.url}/1", f"{server.url}/2"):
        for _ in range(3):
            with pytest.raises(Busy):
                fetcher.get_json(other)
        # Whose document is here is served by it, renewed or not.
        assert fetcher.get_json(known) == {"a": 1}
        assert len(server.requests) == 3
    # Who was sent away for the sake of others has not failed.
    assert fetcher.get_json(other) == {"a": 1}


def test_the_pause_after_a_failure_grows_and_ends(fetcher: Fetcher, server: Server) -> None:
    server.answer = sends(b"HTTP/1.1 500 No\r\n\r\n")
    for number, pause in enumerate((10, 20, 40, 80, 160, 300, 300), start=1):
        for _ in range(2):
            with pytest.raises(Unavailable):
                fetcher.get_json(server.url)
        assert len(server.requests) == number
        age(fetcher, server.url, pause - 1)
        with pytest.raises(Unavailable):
            fetcher.get_json(server.url)
        assert len(server.requests) == number
        age(fetcher, server.url, 2)
    server.answer = sends(body(b'{"a": 1}'))
    assert fetcher.get_json(server.url) == {"a": 1}
    server.answer = sends(b"HTTP/1.1 500 No\r\n\r\n")
    age(fetcher, server.url, 3601)
    with pytest.raises(Unavailable):
        fetcher.get_json(server.url)
    age(fetcher, server.url, 11)
    server.answer = sends(body(b'{"a": 2}'))
    assert fetcher.get_json(server.url) == {"a": 2}


def test_an_old_document_serves_while_another_caller_renews_it(
    fetcher: Fetcher, server: Server
) -> None:
    server.answer = sends(body(b'{"a": 1}'))
    fetcher.get_json(server.url)
    age(fetcher, server.url, 301)
    with fetcher._entries[server.url].lock:
        assert fetcher.get_json(server.url) == {"a": 1}


def test_the_cache_is_bounded(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "CACHED_URLS", 3)
    for number in range(10):
        with pytest.raises(BadRequest):
            fetcher.get_json(f"http://rp.example/{number}")
    assert len(fetcher._entries) == 3
