"""HTTP over a real socket: framing, limits, deadlines, and how requests are answered."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from io import BytesIO

import pytest

from idp.platform.errors import TooSlow
from idp.platform.web.requests import read_all
from idp.server import bridge as bridges
from idp.server import connection as connections
from idp.server.bridge import Bridge
from idp.server.listeners import listen
from idp.server.process import new_loop
from tests.servers import free_port

pytestmark = pytest.mark.no_database


def echo(environ, start_response):
    """Answer with what was asked."""
    body = environ["wsgi.input"].read()
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    seen |= {"body": body.decode("latin-1"), "thread": threading.current_thread().name}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


@dataclass
class Application:
    """A WSGI application as the bridge serves one, on the loop where `at_once` says so."""

    wsgi: object
    at_once: object

    def start(self, request, _storage):
        environ = bridges.environment(request, BytesIO(request.body), len(request.body))
        return self._on_loop(request, environ) if self.at_once(environ) else None

    async def _on_loop(self, request, environ):
        if environ["QUERY_STRING"] == "waits":
            await asyncio.sleep(0.01)
        if environ["QUERY_STRING"] == "slow":
            environ["wsgi.input"].read()
            return None
        return self.answer_on_thread(request, environ)

    def answer_on_thread(self, _request, environ):
        answer = []

        def start_response(line, headers, _error=None):
            answer[:] = [int(line[:3]), headers]

        body = read_all(self.wsgi(environ, start_response))
        return (*answer, body)


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Talk:
    """A connection on which raw bytes are sent."""

    socket: socket.socket
    received: bytes = b""
    answers: list = field(default_factory=list)

    def send(self, *pieces, pause=0.0):
        for piece in pieces:
            self.socket.sendall(piece)
            time.sleep(pause)
        return self

    def answer(self, *, to_head=False):
        """Read one answer, and leave what follows it."""
        while b"\r\n\r\n" not in self.received:
            self._receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for name, _, value in (line.partition(": ") for line in lines):
            assert name not in headers
            headers[name] = value
        length = 0 if to_head else int(headers.get("content-length", 0))
        while len(self.received) < length:
            self._receive()
        body, self.received = self.received[:length], self.received[length:]
        return Answer(int(line.split(" ")[1]), headers, body)

    def _receive(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError(self.received)
        self.received += piece

    def is_closed(self):
        """Read to the end."""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                self.received += piece
        return not self.received


class Served:
    """A bridge on a loop in a thread."""

    def __init__(self, wsgi, options):
        at_once = options.pop("at_once", lambda _environ: False)
        application = Application(wsgi, at_once)
        self.port = free_port()
        (self.listener,) = listen("127.0.0.1", self.port, 1, overlap=False, otherwise="")
        self.loop = new_loop()
        self.bridge = Bridge(application, **{"threads": 2, "storage": object, **options})
        self.thread = threading.Thread(
            target=self.loop.run_until_complete, args=(self.bridge.run(self.listener),)
        )
        self.thread.start()
        self.talks = []

    def talk(self, *pieces, pause=0.0):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.talks.append(connection)
        return Talk(connection).send(*pieces, pause=pause)

    def ask(self, *pieces, pause=0.0):
        return self.talk(*pieces, pause=pause).answer()

    def tell_to_stop(self):
        self.loop.call_soon_threadsafe(self.bridge.stop)

    def stop(self):
        for connection in self.talks:
            connection.close()
        self.tell_to_stop()
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.loop.close()
        self.listener.close()


@pytest.fixture
def serve(monkeypatch):
    """Serve an application on a real socket, with limits and options of its own."""
    monkeypatch.setattr(bridges, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(bridges, "QUIET_SECONDS", 0.05)
    running = []

    def start(application=echo, **options):
        running.append(Served(application, options))
        return running[-1]

    yield start
    for served in running:
        served.stop()


GET = b"GET /x?a=b HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body=b"", *lines, path=b"/x", length=True):
    given = [b"POST " + path + b" HTTP/1.1", b"Host: a", *lines]
    if length:
        given.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join((*given, b"", body))


def chunked(*pieces, path=b"/x", end=b"0\r\n\r\n"):
    head = post(b"", b"Transfer-Encoding: chunked", path=path, length=False)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def test_a_request_reaches_the_application_as_wsgi_describes_it(serve):
    served = serve()
    request = b"PUT /a%20b/%C3%A9?q=%20&\xc3 HTTP/1.1\r\nHost: a\r\nX-One:  1 \t\r\n\r\n"
    seen = served.ask(request.replace(b"&\xc3", b"")).json()
    assert seen["REQUEST_METHOD"] == "PUT"
    assert seen["PATH_INFO"] == "/a b/\xc3\xa9"
    assert seen["QUERY_STRING"] == "q=%20"
    assert seen["HTTP_X_ONE"] == "1"
    assert (seen["REMOTE_ADDR"], seen["SERVER_PORT"]) == ("127.0.0.1", str(served.port))
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"


def test_an_answer_has_a_date_and_a_length_and_says_nothing_of_the_server(serve):
    answer = serve().ask(GET)
    assert set(answer.headers) == {"date", "content-type", "content-length"}
    assert answer.headers["date"].endswith(" GMT")


def test_no_byte_of_a_header_is_lost(serve):
    served = serve()
    value = bytes(byte for byte in range(0x21, 0x100) if byte != 0x7F)
    seen = served.ask(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + value + b"\r\n\r\n").json()
    assert seen["HTTP_COOKIE"].encode("latin-1") == value


def test_headers_of_one_name_are_joined_in_order(serve):
    lines = b"Cookie: a=1\r\nX-Forwarded-For: 1.1.1.1\r\nCookie: b=2\r\nX-Forwarded-For: 2.2.2.2"
    seen = serve().ask(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n").json()
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["HTTP_X_FORWARDED_FOR"] == "1.1.1.1,2.2.2.2"


def test_headers_with_underscores_cannot_pose_as_others(serve):
    lines = b"X_Forwarded_For: 203.0.113.1\r\nContent_Length: 5\r\nX-A: 1"
    seen = serve().ask(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n").json()
    assert "HTTP_X_FORWARDED_FOR" not in seen
    assert (seen["HTTP_X_A"], seen["CONTENT_LENGTH"]) == ("1", "0")


HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"
REFUSED = {
    "a length and chunks": (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunks and a length": (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "the same length twice": (HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "a list of lengths": (HEAD + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "a signed length": (HEAD + b"Content-Length: +3\r\n\r\nabc", 400),
    "an empty length": (HEAD + b"Content-Length:\r\n\r\n", 400),
    "an unknown coding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "identity": (HEAD + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "chunks in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a broken chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "chunks without CR": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
    "lines without CR": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a line without CR": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "a folded line": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "NUL in a header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 400),
    "DEL in a header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7fc\r\n\r\n", 400),
    "a name of other bytes": (b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n", 400),
    "NUL in the path": (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "raw bytes in the path": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a fragment": (b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a tunnel": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no path": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an old version": (b"GET /\r\n\r\n", 400),
    "a new version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
    "a preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "an unknown method": (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "two credentials": (
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: A b\r\nauthorization: A c\r\n\r\n",
        400,
    ),
    "two types": (HEAD + b"Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n", 400),
    "a long head": (b"GET / HTTP/1.1\r\nX: " + b"x" * connections.MAX_HEAD + b"\r\n\r\n", 431),
    "an endless head": (b"GET / HTTP/1.1\r\nX: " + b"x" * connections.MAX_HEAD, 431),
    "many lines": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 257 + b"\r\n", 431),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_ends(serve, case):
    asked = []

    def application(environ, start_response):
        asked.append(environ)
        return echo(environ, start_response)

    raw, status = REFUSED[case]
    talk = serve(application).talk(raw + GET)
    answer = talk.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert answer.json()["error"] == "invalid_request"
    assert talk.is_closed()
    assert asked == []


def test_heads_up_to_their_limits_are_taken(serve):
    served = serve()
    start = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
    longest = start + b"x" * (connections.MAX_HEAD - len(start) - 4) + b"\r\n\r\n"
    assert served.ask(longest).status == 200
    lines = connections.MAX_HEADER_LINES - 1
    assert (
        served.ask(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * lines + b"\r\n").status == 200
    )


def test_a_request_in_single_bytes_is_put_together(serve):
    whole = post(b"abc")
    seen = serve().ask(*(whole[place : place + 1] for place in range(len(whole)))).json()
    assert seen["body"] == "abc"


def test_an_absolute_target_names_the_host(serve):
    seen = serve().ask(b"GET http://b:1/y?z HTTP/1.1\r\nHost: a\r\n\r\n").json()
    assert (seen["HTTP_HOST"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("b:1", "/y", "z")


@pytest.mark.parametrize("body", [b"", b"a=b"])
def test_an_offer_to_change_the_protocol_is_ignored(serve, body):
    talk = serve().talk(post(body, b"Connection: Upgrade", b"Upgrade: h2c") + GET)
    assert talk.answer().json()["body"] == body.decode()
    assert talk.answer().json()["REQUEST_METHOD"] == "GET"


def test_a_hundred_requests_at_once_are_answered_in_order(serve):
    threads = 0

    def some(environ):
        return int(environ["QUERY_STRING"]) % 2 == 0

    talk = serve(at_once=some).talk(
        b"".join(b"GET /?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(100))
    )
    for number in range(100):
        seen = talk.answer().json()
        assert seen["QUERY_STRING"] == str(number)
        threads += seen["thread"].startswith("request")
    assert threads == 50


def test_more_requests_than_anybody_answers_are_not_kept_in_memory(serve):
    gate = threading.Event()

    def application(environ, start_response):
        gate.wait(20)
        return echo(environ, start_response)

    served = serve(application)
    talk = served.talk()
    talk.socket.settimeout(2)
    with contextlib.suppress(TimeoutError):
        while True:  # until nothing more is taken
            talk.socket.sendall(GET * 2000)
    (connection,) = served.bridge._connections
    assert len(connection._held) < 1_000_000
    gate.set()


def test_a_body_behind_many_requests_is_read(serve):
    served, body = serve(), b"a" * 300_000
    talk = served.talk()
    sending = threading.Thread(target=talk.send, args=(GET * 3000 + post(body),))
    sending.start()
    for _ in range(3000):
        assert talk.answer().status == 200
    assert talk.answer().json()["body"] == body.decode()
    sending.join()


def test_bodies_of_any_form_are_handed_on_whole(serve):
    served = serve()
    assert served.ask(post(b"abc")[:-1], b"c", pause=0.1).json()["body"] == "abc"
    assert served.ask(chunked(b"a", b"bc")).json()["body"] == "abc"
    pieces = chunked(b"a", b"bc", end=b"0\r\nHost: evil\r\nX-Late: 1\r\n\r\n")
    seen = served.ask(*(pieces[place : place + 7] for place in range(0, len(pieces), 7)))
    assert seen.json()["body"] == "abc"
    assert seen.json()["HTTP_HOST"] == "a"
    assert "HTTP_X_LATE" not in seen.json()
    talk = served.talk(post(b"abc") + chunked(b"def"), pause=0.1)
    assert [talk.answer().json()["body"] for _ in "12"] == ["abc", "def"]
    talk.send(GET)
    assert talk.answer().status == 200


def test_what_follows_chunks_at_once_is_to_be_sent_again(serve):
    talk = serve().talk(chunked(b"abc") + GET)
    answer = talk.answer()
    assert (answer.json()["body"], answer.headers["connection"]) == ("abc", "close")
    assert talk.is_closed()


@pytest.mark.parametrize("extra", [b"1;" + b"x" * 5000 + b"\r\na\r\n", b"1\r\na\r\n"])
def test_chunks_cannot_be_made_of_next_to_nothing_for_ever(serve, extra):
    served = serve()
    rest = b"" if b";" in extra else b"0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n"
    talk = served.talk(chunked(b"abc", end=b""))
    with contextlib.suppress(ConnectionError):
        talk.send(*[extra] * 20, rest)
    assert talk.answer().status == 400


def test_a_slow_head_and_a_slow_body_are_given_up(serve, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    served = serve(body_seconds=0.2)
    for beginning in (GET[:20], post(b"abc")[:-1], chunked(b"abc", end=b"")):
        talk = served.talk(beginning)
        answer = talk.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert talk.is_closed()


def test_a_connection_that_says_nothing_is_closed_without_a_word(serve, monkeypatch):
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    served = serve()
    assert served.talk().is_closed()
    talk = served.talk(GET)
    talk.answer()
    assert talk.is_closed()


@pytest.mark.parametrize("body", [post(b"a" * 11), chunked(b"a" * 11), chunked(b"a" * 6, b"b" * 5)])
def test_a_large_body_is_refused(serve, body):
    served = serve(max_body=10)
    answer = served.ask(body)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert served.ask(body.replace(b"a" * 5, b"").replace(b"b\r\n", b"5\r\n"))


def test_who_sends_too_much_gets_to_read_it(serve):
    talk = serve(max_body=10).talk(post(b"a" * 3_000_000))
    assert talk.answer().status == 413


def test_whoever_waits_for_permission_to_send_gets_it(serve):
    talk = serve().talk(post(b"abc", b"Expect: 100-continue")[:-3])
    assert talk.answer(to_head=True).status == 100
    assert talk.send(b"abc").answer().json()["body"] == "abc"


def test_whoever_may_not_send_is_told_before(serve):
    talk = serve(max_body=2).talk(post(b"abc", b"Expect: 100-continue")[:-3])
    assert talk.answer().status == 413


def test_nobody_is_given_permission_for_what_is_sent_already(serve):
    assert serve().ask(post(b"abc", b"Expect: 100-continue")).status == 200


def test_the_answer_to_head_has_a_length_and_no_body(serve):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "1234")])
        return []

    talk = serve(application).talk(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    for _ in range(2):
        assert talk.answer(to_head=True).headers["content-length"] == "1234"
    assert talk.received == b""


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_that_have_no_body_say_nothing_of_one(serve, status):
    def application(environ, start_response):
        start_response(status, [("Content-Length", "4")])
        return [b"body"]

    talk = serve(application).talk(GET * 2)
    for _ in range(2):
        assert "content-length" not in talk.answer().headers


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ],
)
def test_whoever_wants_one_answer_gets_one(serve, raw):
    talk = serve().talk(raw)
    assert talk.answer().headers["connection"] == "close"
    assert talk.is_closed()


def test_the_application_may_end_a_connection(serve):
    def application(environ, start_response):
        start_response("200 OK", [("Connection", "close")])
        return [b"x"]

    talk = serve(application).talk(GET + GET)
    assert talk.answer().headers["connection"] == "close"
    assert talk.is_closed()


def test_whoever_shuts_his_side_is_still_answered(serve):
    talk = serve().talk(GET * 3)
    talk.socket.shutdown(socket.SHUT_WR)
    assert [talk.answer().status for _ in range(3)] == [200] * 3
    assert talk.is_closed()


@pytest.mark.parametrize("sent", [b"", GET[:10], post(b"abc")[:-1], GET + GET[:10]])
def test_whoever_hangs_up_in_the_middle_is_let_go(serve, sent):
    served = serve()
    talk = served.talk(sent)
    talk.socket.shutdown(socket.SHUT_WR)
    if sent.startswith(GET):
        assert talk.answer().status == 200
    assert talk.is_closed()
    assert served.ask(GET).status == 200


def test_a_connection_that_is_reset_while_it_is_answered_harms_nobody(serve):
    gate, reached = threading.Event(), threading.Event()

    def application(environ, start_response):
        reached.set()
        gate.wait(10)
        return echo(environ, start_response)

    served = serve(application)
    talk = served.talk(GET)
    assert reached.wait(10)
    talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    talk.socket.close()
    gate.set()
    assert served.ask(GET).status == 200


def test_whoever_does_not_read_is_cut_off_and_keeps_nobody_waiting(serve, monkeypatch):
    monkeypatch.setattr(connections, "READ_SECONDS", 0.5)

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/x":
            return echo(environ, start_response)
        start_response("200 OK", [])
        return [bytes(30_000_000)]

    served = serve(application)
    slow = served.talk(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    slow._receive()
    end = time.monotonic() + 20
    while served.bridge._connections:
        assert time.monotonic() < end
        talk = served.talk(GET)
        assert talk.answer().status == 200
        talk.socket.close()
        time.sleep(0.05)
    with pytest.raises(ConnectionError):
        slow.answer()


def test_whoever_reads_slowly_but_steadily_gets_everything(serve, monkeypatch):
    monkeypatch.setattr(connections, "READ_SECONDS", 0.5)
    monkeypatch.setattr(connections, "LEAST_READ", 1)

    def application(environ, start_response):
        start_response("200 OK", [])
        return [bytes(10_000_000)]

    talk = serve(application).talk(GET)
    taken = 0
    while taken < 10_000_000:
        piece = talk.socket.recv(1_000_000)
        assert piece
        taken += len(piece)
        time.sleep(0.1)


def test_a_crowd_of_silent_connections_makes_room_for_who_has_a_request(serve, monkeypatch):
    monkeypatch.setattr(bridges, "CONNECTIONS", 5)
    served = serve()
    silent = [served.talk() for _ in range(8)]
    asked = served.talk(GET)
    assert asked.answer().status == 200
    end = time.monotonic() + 10
    while len(served.bridge._connections) > 5:
        assert time.monotonic() < end
    assert asked.send(GET).answer().status == 200
    assert sum(bool(select.select([talk.socket], [], [], 0)[0]) for talk in silent) >= 4


@pytest.mark.parametrize("at_once", [True, False])
def test_an_application_that_fails_is_one_500(serve, at_once, capfd):
    def application(environ, start_response):
        raise RuntimeError("the inner secret is 42")

    talk = serve(application, at_once=lambda _: at_once).talk(GET)
    answer = talk.answer()
    assert (answer.status, answer.headers["connection"]) == (500, "close")
    assert b"42" not in answer.body
    assert "RuntimeError" in "".join(capfd.readouterr())


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\nb", "\u4e2d"])
def test_a_header_that_would_become_two_is_not_sent(serve, value):
    def application(environ, start_response):
        start_response("200 OK", [("X-A", value)])
        return []

    answer = serve(application).ask(GET)
    assert answer.status == 500
    assert "set-cookie" not in answer.headers


def test_what_needs_to_wait_moves_from_the_loop_to_a_thread(serve):
    served = serve(at_once=lambda environ: environ["PATH_INFO"] == "/x")
    for target, on_thread in (
        (b"/x?quick", False),
        (b"/x?waits", False),
        (b"/x?slow", True),
        (b"/y?quick", True),
    ):
        seen = served.ask(post(b"abc", path=target)).json()
        assert (seen["body"], seen["thread"].startswith("request")) == ("abc", on_thread)


def test_health_is_told_while_every_thread_is_busy(serve):
    gate, busy = threading.Event(), threading.Barrier(3)

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/x":
            busy.wait(10)
            gate.wait(10)
        return echo(environ, start_response)

    served = serve(application, threads=2)
    held = [served.talk(GET) for _ in range(2)]
    busy.wait(10)
    for path in bridges.HEALTH:
        asked = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode()
        assert served.ask(asked).json()["thread"].startswith("health")
    gate.set()
    assert [talk.answer().status for talk in held] == [200, 200]


# Stopping


def test_files_are_read_while_every_thread_is_busy(serve, monkeypatch):
    everybody, free = threading.Barrier(3), threading.Event()

    def wait(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            everybody.wait(10)
            assert free.wait(10)
        return echo(environ, start_response)

    served = serve(wait)
    slow = [served.talk(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
    everybody.wait(10)
    assert served.ask(b"GET /files/picture HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    monkeypatch.setattr(bridges, "MOST_FILES", 0)
    refused = served.ask(b"GET /files/picture HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (refused.status, int(refused.headers["retry-after"]) > 0) == (503, True)
    free.set()
    assert [talk.answer().status for talk in slow] == [200, 200]


LARGE = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n%b\r\n"


def test_a_browser_reads_a_page_when_its_body_is_given_up(serve):
    served = serve(max_body=10)
    answer = served.ask(LARGE % b"Accept: text/html\r\nAccept-Language: zh-CN\r\n")
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    assert "<h1>提交的内容过大</h1>" in answer.body.decode()
    refused = served.ask(LARGE % b"")
    assert refused.json()["error_description"] == "The request body exceeds 10 bytes"
    # The page that sent it may read why.
    assert refused.headers["access-control-allow-origin"] == "*"


def test_every_refusal_has_a_body_a_request_id_and_security_headers(serve, monkeypatch):
    def breaks(_environ, _start_response):
        raise LookupError("a secret of ours")

    served = serve(breaks, max_body=10, secure=True, body_seconds=0.1)
    start = b"POST /x HTTP/1.1\r\nHost: x\r\n"
    for status, raw in (
        (500, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (413, LARGE % b""),
        (400, start + b"Content-Length: x\r\n\r\n"),
        (408, start + b"Content-Length: 5\r\n\r\nab"),
        (431, start + b"X: %b\r\n\r\n" % (b"a" * 70_000)),
    ):
        answer = served.ask(raw)
        assert answer.status == status
        assert answer.json()["error"] == ("server_error" if status == 500 else "invalid_request")
        assert b"secret" not in answer.body
        assert len(answer.headers["x-request-id"]) == 16
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_stopping_answers_what_is_under_way_and_closes_the_rest(serve):
    gate, reached = threading.Event(), threading.Event()

    def application(environ, start_response):
        reached.set()
        gate.wait(10)
        return echo(environ, start_response)

    served = serve(application)
    asked, half, idle = served.talk(GET), served.talk(post(b"abc")[:-1]), served.talk()
    assert reached.wait(10)
    served.tell_to_stop()
    served.thread.join(0.5)
    assert served.thread.is_alive()
    half.send(b"c")
    gate.set()
    for talk in (asked, half):
        answer = talk.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert talk.is_closed()
    assert idle.is_closed()


def test_whoever_comes_while_the_server_stops_is_still_answered(serve, monkeypatch):
    monkeypatch.setattr(bridges, "QUIET_SECONDS", 1.0)
    served = serve()
    talk = served.talk(GET)
    talk.answer()
    served.tell_to_stop()
    for asked in (talk.send(GET), served.talk(GET)):
        assert asked.answer().headers["connection"] == "close"
    served.thread.join(10)


# Uploads

UPLOADS = {"uploads": {"/x": 30}, "max_body": 10}


def test_an_upload_may_be_larger_than_other_bodies(serve):
    served = serve(**UPLOADS)
    for request in (post(b"ab" * 10), chunked(*[b"ab"] * 10)):
        seen = served.ask(request).json()
        assert (seen["body"], seen["thread"].startswith("upload")) == ("ab" * 10, True)
    assert served.ask(post(b"ab" * 10, path=b"/y")).status == 413
    assert served.ask(post(b"ab" * 10).replace(b"POST", b"PUT")).status == 413


def test_the_line_goes_on_behind_an_upload(serve):
    talk = serve(**UPLOADS).talk(post(b"ab" * 10) + GET)
    assert talk.answer().json()["body"] == "ab" * 10
    assert talk.answer().json()["REQUEST_METHOD"] == "GET"


def test_an_upload_has_a_limit_of_its_own(serve):
    served = serve(**UPLOADS)
    answer = served.ask(post(b"a" * 31))
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    # Of unknown length it ends where the limit is passed, and the connection with it.
    talk = served.talk(chunked(*[b"ab"] * 15, end=b""), pause=0.1).send(b"1\r\na\r\n0\r\n\r\n")
    answer = talk.answer()
    assert (answer.json()["body"], answer.headers["connection"]) == ("ab" * 15, "close")


def test_a_slow_upload_is_given_up(serve):
    def patient(environ, start_response):
        with pytest.raises(TooSlow):
            environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"slow"]

    answer = serve(patient, upload_seconds=0.2, **UPLOADS).ask(post(b"a" * 20)[:-1])
    assert (answer.body, answer.headers["connection"]) == (b"slow", "close")


def test_whoever_hangs_up_in_an_upload_gives_its_thread_back(serve):
    served = serve(**UPLOADS)
    for _ in range(2 * bridges.UPLOAD_THREADS):
        served.talk(post(b"a" * 20)[:-1]).socket.close()
    assert served.ask(post(b"ab" * 10)).status == 200


def test_what_nobody_reads_of_an_upload_is_taken_so_that_the_answer_is_read(serve):
    def deaf(environ, start_response):
        start_response("401 Unauthorized", [])
        return [b"no"]

    served = serve(deaf, uploads={"/x": 20_000_000})
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served.port)) as connection:
        connection.request("POST", "/x", bytes(10_000_000))
        assert connection.getresponse().status == 401


def test_an_upload_is_invited_once_somebody_reads_it(serve):
    def careful(environ, start_response):
        if "HTTP_AUTHORIZATION" not in environ:
            start_response("401 Unauthorized", [])
            return [b"no"]
        return echo(environ, start_response)

    served = serve(careful, **UPLOADS)
    asked = post(b"abc", b"Expect: 100-continue")[:-3]
    assert served.ask(asked).status == 401
    talk = served.talk(asked.replace(b"Expect", b"Authorization: A b\r\nExpect"))
    assert talk.answer(to_head=True).status == 100
    assert talk.send(b"abc").answer().json()["body"] == "abc"


def test_a_large_upload_does_not_pile_up_in_memory(serve):
    size, most = 40_000_000, 0

    def application(environ, start_response):
        nonlocal most
        stream, taken = environ["wsgi.input"], 0
        (connection,) = served.bridge._connections
        while piece := stream.read(100_000):
            taken += len(piece)
            most = max(most, len(connection._held) + len(stream.raw._pieces))
        start_response("200 OK", [])
        return [str(taken).encode()]

    served = serve(application, uploads={"/x": size})
    assert served.ask(post(bytes(size))).body == str(size).encode()
    assert most < 2_000_000
