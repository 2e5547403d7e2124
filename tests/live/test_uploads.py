"""Uploads over real connections: read as they come, by threads of their own."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from idp.server import bridge
from tests import protocol, samples
from tests.live.site import Answer, Site
from tests.live.test_slow_clients import answer_on, is_closed, opened

pytestmark = pytest.mark.no_database

VIDEO = 20_000_000
PIECE = 256 * 1024
BEGINNING = b'--x\r\nContent-Disposition: form-data; name="value"; filename="a"\r\n\r\n'
END = b"\r\n--x--\r\n"


@pytest.fixture
def token(site: Site) -> str:
    with site.sessions() as session:
        app = protocol.register_machine(session, site.name("robot"), ["ids4.ms.file.all"])
    text: str = site.machine_token(app).json()["access_token"]
    return text


def pieces(content: bytes) -> Iterator[bytes]:
    whole = BEGINNING + content + END
    yield from (whole[start : start + PIECE] for start in range(0, len(whole), PIECE))


def send(site: Site, content: bytes, token: str | None, *, chunked: bool = False) -> Answer:
    length = len(BEGINNING + content + END)
    headers = {} if chunked else {"Content-Length": str(length)}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(site.host, timeout=60)
    headers["Content-Type"] = "multipart/form-data; boundary=x"
    connection.request("POST", "/api/File", pieces(content), headers, encode_chunked=chunked)
    with connection.getresponse() as response:
        named = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, named, response.read())
    connection.close()
    return answer


def head(site: Site, token: str | None, *lines: str) -> str:
    kind = "Content-Type: multipart/form-data; boundary=x"
    who = [f"Authorization: Bearer {token}"] if token else []
    return "\n".join(("POST /File HTTP/1.1", f"Host: {site.host}", kind, *who, *lines, "", ""))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_file_is_kept_and_given_out(site: Site, token: str, chunked: bool) -> None:
    content = samples.MP4 + bytes(VIDEO - len(samples.MP4))
    answer = send(site, content, token, chunked=chunked)
    assert answer.status == 200
    assert answer.json()["code"] == 200
    path = answer.json()["data"].removeprefix(site.url)
    assert site.ask("GET", path).body == content


@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_too_much_gets_to_read_it(site: Site, token: str, chunked: bool) -> None:
    answer = send(site, samples.MP4 + bytes(VIDEO), token, chunked=chunked)
    assert (answer.status, answer.json()["code"]) == (200, 422)


@pytest.mark.parametrize("wrong", [None, "no-token"])
def test_who_may_not_send_gets_to_read_it_and_the_line_goes_on(site: Site, wrong: str) -> None:
    assert send(site, samples.MP4 + bytes(3_000_000), wrong).status == 401
    body = BEGINNING + samples.MP4 + END
    with opened(site, "") as connection:
        for _ in range(2):
            lines = head(site, wrong, f"Content-Length: {len(body)}").replace("\n", "\r\n")
            connection.sendall(lines.encode() + body)
            assert answer_on(connection).status == 401


def test_a_hundred_megabytes_are_refused_before_they_are_sent(site: Site, token: str) -> None:
    with opened(site, head(site, token, "Content-Length: 100000000")) as connection:
        answer = answer_on(connection)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert is_closed(connection)


def test_half_sent_files_leave_others_alone(site: Site, token: str) -> None:
    app = site.machine()
    with ExitStack() as stack:
        for _ in range(2 * bridge.UPLOAD_THREADS + 2):
            lines = head(site, token, "Content-Length: 5000000")
            stack.enter_context(opened(site, lines)).sendall(BEGINNING)
        started = time.monotonic()
        for _ in range(20):
            assert site.machine_token(app).status == 200
        assert time.monotonic() - started < 10
    # They hung up: the threads are free at once.
    assert send(site, samples.PDF, token).json()["code"] == 200
