"""Traces: one id from a request over statements, outbox and job to what is called outside."""

from __future__ import annotations

import http.server
import json
import secrets
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiosmtpd.controller import Controller
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import bindparam, select

from idp.app import create_app
from idp.config import Settings, SettingsError
from idp.directory.users.models import User
from idp.platform import logs, tracing
from idp.platform.db import run
from idp.platform.jobs.models import OutboxMessage
from idp.platform.storage import TracedLoopStorage
from idp.platform.tracing import read_traceparent
from idp.platform.web.requests import Entrance
from tests import coroutines, protocol
from tests.conftest import as_environment, changed
from tests.delivery import deliver_due
from tests.servers import LiveServer, free_port

SECONDS = 30
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"


class Collector:
    """Receives spans by OTLP over HTTP, and keeps them."""

    def __init__(self) -> None:
        self.spans = []
        self.services = set()
        self.raw = b""
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(body, self.headers.get("Content-Encoding"))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, body: bytes, encoding: str | None) -> None:
        """Read what was sent."""
        assert encoding is None
        self.raw += body
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for attribute in resource.resource.attributes:
                if attribute.key == "idp.role":
                    self.services.add(attribute.value.string_value)
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def named(self, name: str):
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.stop()


@pytest.fixture
def traced(collector, settings, session):
    """Return a function that makes an application which is traced."""
    made = []

    def make(**fields):
        given = {"otlp_url": collector.url, "trace_ratio": 1.0, **fields}
        made.append(create_app(settings.model_copy(update=given)))
        return made[-1]

    yield make
    for app in made:
        app.extensions["idp"].engine.dispose()
        app.extensions["idp"].tracer.close()


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def ask(app, method, path, **options):
    client = app.test_client()
    return client.open(path, method=method, base_url="http://127.0.0.1:8000", **options)


def flush(app) -> None:
    app.extensions["idp"].tracer._provider.force_flush()


def test_spans_name_routes_and_hold_no_values_of_a_request(traced, collector, session) -> None:
    app = traced()
    machine = protocol.register(session)
    secret = f"Xq7-{secrets.token_hex(8)}"
    form = {"grant_type": "authorization_code", "code": secret, **machine.post}
    assert ask(app, "POST", f"/connect/token?secret={secret}", data=form).status_code == 400
    assert ask(app, "GET", f"/account/{secret}").status_code == 404
    assert ask(app, "GET", "/login", headers={"Accept": "text/html"}).status_code == 200
    flush(app)
    (page,) = collector.named("GET /login")
    found = attributes(page)
    assert found["http.route"] == "/login"
    assert found["http.response.status_code"] == 200
    assert not page.parent_span_id
    (token,) = collector.named("POST /connect/token")
    assert token.trace_id != page.trace_id
    assert secret.encode() not in collector.raw
    assert machine.secret.encode() not in collector.raw
    assert collector.services == {"serve"}


def test_a_traceparent_is_believed_from_trusted_proxies_only(traced, collector) -> None:
    for proxies, expected in (("", False), ("203.0.113.0/24", False), ("127.0.0.1", True)):
        app = traced(trusted_proxies=proxies)
        collector.spans.clear()
        ask(app, "GET", "/login", headers={"traceparent": GIVEN, "baggage": "a=b"})
        flush(app)
        (span,) = collector.named("GET /login")
        assert (span.trace_id.hex() == TRACE) is expected
        assert (span.parent_span_id.hex() == "00f067aa0ba902b7") is expected


def test_a_proxy_decides_whether_its_traces_are_sent(traced, collector) -> None:
    app = traced(trusted_proxies="127.0.0.1", trace_ratio=0.0)
    ask(app, "GET", "/login")
    ask(app, "GET", "/login", headers={"traceparent": f"{GIVEN[:-2]}00"})
    flush(app)
    assert collector.spans == []
    ask(app, "GET", "/login", headers={"traceparent": GIVEN})
    flush(app)
    assert collector.named("GET /login")


@pytest.mark.parametrize(
    "text",
    [
        *("", "00", GIVEN[:-1], f"{GIVEN}0", f"ff{GIVEN[2:]}", GIVEN.upper(), f" {GIVEN}"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        GIVEN.replace("-", "_"),
        "0" * 10_000,
        "\u0664" * 55,
    ],
)
@pytest.mark.no_database
def test_a_broken_traceparent_is_none(text: str) -> None:
    assert read_traceparent(text) is None


@pytest.mark.no_database
def test_a_traceparent_is_read() -> None:
    assert read_traceparent(GIVEN) == (int(TRACE, 16), 0x00F067AA0BA902B7, 1)
    assert read_traceparent(None) is None


def test_a_message_carries_the_trace_to_its_job_and_to_the_mail_server(
    traced, collector, session
) -> None:
    class Inbox:
        async def handle_DATA(self, *_) -> str:  # noqa: N802 - aiosmtpd's name
            return "250 OK"

    smtp = Controller(Inbox(), hostname="127.0.0.1", port=free_port())
    smtp.start()
    try:
        app = traced(trusted_proxies="127.0.0.1", smtp_url=f"smtp://127.0.0.1:{smtp.port}")
        protocol.add_person(session, "ann", email="ann@example.com", email_verified=True)
        client = app.test_client()
        base = "http://127.0.0.1:8000"
        page = client.get("/forgot", base_url=base, headers={"Accept": "text/html"})
        token = page.get_data(as_text=True).partition('name="csrf_token"')[2]
        token = token.partition('value="')[2].partition('"')[0]
        answer = client.post(
            "/forgot",
            base_url=base,
            data={"csrf_token": token, "login": "ann"},
            headers={"traceparent": GIVEN},
        )
        assert answer.status_code == 303
        left = session.scalars(select(OutboxMessage.trace)).all()
        assert [one[:35] for one in left] == [GIVEN[:35]]
        session.rollback()
        assert deliver_due(app.extensions["idp"]) == 2
        flush(app)
    finally:
        smtp.stop()
    ours = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    names = {span.name for span in ours}
    assert {"POST /forgot", "job password_reset", "job notify.mail", "SMTP"} <= names, names
    by_id = {span.span_id: span for span in ours}
    (mail,) = [span for span in ours if span.name == "SMTP"]
    chain = [mail]
    while chain[-1].parent_span_id in by_id:
        chain.append(by_id[chain[-1].parent_span_id])
    assert [span.name for span in chain][-1] == "POST /forgot"
    assert "job notify.mail" in [span.name for span in chain]
    inserts = [span for span in ours if span.name == "INSERT"]
    assert inserts
    assert all("db.query.text" in attributes(span) for span in inserts)
    assert b"ann@example.com" not in collector.raw


@pytest.mark.postgresql
def test_statements_of_the_loop_are_steps_of_their_request(traced, collector, session) -> None:
    from idp.platform.postgres import Pool

    app = traced()
    runtime = app.extensions["idp"]
    user = protocol.add_person(session, "ann")

    async def main():
        query = select(User.id).where(User.username == bindparam("name"))
        pool = Pool(runtime.engine)
        with ThreadPoolExecutor(1) as threads:
            storage = TracedLoopStorage(runtime, pool, threads)
            storage.span = runtime.tracer.begin("GET /test", None)
            assert await storage.one(query, {"name": user.username}) is not None
            await storage.in_session(run, query, {"name": user.username})
            storage.span.end()
        pool.close()

    coroutines.run(main())
    flush(app)
    (parent,) = collector.named("GET /test")
    (function,) = collector.named("run")
    assert {span.parent_span_id for span in collector.named("SELECT")} == {
        parent.span_id,
        function.span_id,
    }
    assert {span.trace_id for span in collector.spans} == {parent.trace_id}
    assert user.username.encode() not in collector.raw


def test_failures_are_marked_and_their_texts_stay_here(traced, collector, session) -> None:
    app = traced()
    runtime = app.extensions["idp"]
    secret = f"Xq7-{secrets.token_hex(8)}"
    span = runtime.tracer.begin("GET /test", None)
    with tracing.using(span), runtime.sessions() as own:
        with pytest.raises(Exception, match="nothing_of_this_name"):
            own.execute(
                select(OutboxMessage.id)
                .where(OutboxMessage.job == secret)
                .prefix_with("nothing_of_this_name,")
            )
        with pytest.raises(ZeroDivisionError), tracing.step("divide"):
            raise ZeroDivisionError(secret)
    span.end()
    flush(app)
    (division,) = collector.named("divide")
    assert division.status.code == 2
    assert collector.named("SELECT")[-1].status.code == 2
    assert secret.encode() not in collector.raw


def test_the_log_names_the_trace(traced, collector, capfd) -> None:
    app = traced(log_format="json", trusted_proxies="127.0.0.1")
    ask(app, "GET", "/nothing", headers={"traceparent": GIVEN})
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert line["trace_id"] == TRACE
    logs.setup("INFO", readable=False, ecs=True)
    ask(app, "GET", "/nothing", headers={"traceparent": GIVEN})
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert line["trace.id"] == TRACE


def test_a_collector_that_is_away_changes_no_answer(traced) -> None:
    app = traced(otlp_url=f"http://127.0.0.1:{free_port()}")
    assert ask(app, "GET", "/healthz").status_code == 200


def test_without_a_collector_nothing_is_traced(app, session) -> None:
    assert app.extensions["idp"].tracer is None
    assert type(app.wsgi_app._entrance) is Entrance
    assert tracing.under_way() is None
    with tracing.step("anything"):
        assert tracing.traceparent() is None


@pytest.mark.no_database
def test_the_extra_is_named_where_it_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "idp.platform.tracing.exporting", None)
    settings = Settings(otlp_url="http://collector.example:4318")
    with pytest.raises(SettingsError, match=r"pip install 'idp\[otel\]'"):
        tracing.create(settings, "serve")
    assert tracing.create(settings, "command") is None


def test_server_and_worker_send_their_spans(collector, settings, tmp_path, session) -> None:
    port = free_port()
    served = changed(
        settings,
        otlp_url=collector.url,
        trace_ratio=1.0,
        public_url=f"http://127.0.0.1:{port}",
    )
    machine = protocol.register(session)
    server = LiveServer.start(
        as_environment(served), port=port, log=tmp_path / "log", arguments=(), command=None
    )
    try:
        form = {"grant_type": "authorization_code", "code": "x", **machine.post}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(
                f"{server.url}/connect/token", urllib.parse.urlencode(form).encode()
            )
        refused.value.close()
    finally:
        assert server.stop() == 0  # what has ended is sent before the process ends
    end = time.monotonic() + SECONDS
    while not collector.named("POST /connect/token"):
        assert time.monotonic() < end
        time.sleep(0.05)
    (request,) = collector.named("POST /connect/token")
    steps = [span for span in collector.spans if span.trace_id == request.trace_id]
    assert any(span.name == "SELECT" for span in steps)
