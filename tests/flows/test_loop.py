"""Hot requests on the event loop: with PostgreSQL no thread is taken, and no answer mixed up."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import pytest
from sqlalchemy import func, make_url, select, text

from idp.directory.clients.models import ClientRegistration
from idp.directory.product import DEVICE_CODE
from idp.oauth.models import Grant, RefreshFamily
from idp.platform import cache, postgres
from idp.platform.audit.models import AuditEvent
from idp.platform.errors import BadRequest, Unavailable
from idp.platform.storage import LoopStorage, SessionStorage, complete
from idp.platform.web.visit import Request
from idp.server.bridge import Bridge
from tests import protocol
from tests.pages.browsing import HTML, send
from tests.platform.test_web_database import FULL_DISK
from tests.protocol import add_api, add_person, obtain, register, register_machine
from tests.provers import Prover
from tests.registering import initial_token, metadata

HOST = "127.0.0.1:8000"
SCOPE = "openid profile orders.read offline_access"


@dataclass
class LoopRequest:
    """A request as a connection hands it on, and its answer."""

    request: Request
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, status, headers, body):
        self.status, self.content = status, body
        self.answered = {name.lower(): value for name, value in headers}
        self.done.set()


def loop_request(method, path, query="", body=b"", **headers):
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    if body:
        named["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
    host, _, port = HOST.partition(":")
    named["HTTP_HOST"] = HOST
    return LoopRequest(Request(method, path, query, "1.1", named, "192.0.2.1", (host, port), body))


def get(path, query="", **headers):
    return loop_request("GET", path, query, **headers)


def post(path, **form):
    return loop_request("POST", path, body=urlencode(form).encode())


def on_a_loop(work):
    """Run a coroutine in a thread: a browser of other tests keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


@dataclass
class Loop:
    """Sends requests through the bridge, several at a time."""

    application: object
    runtime: object
    session: object
    threads: int = 0

    def send(self, *requests):
        self.session.commit()  # SQLite lets one writer in at a time

        async def run():
            pool = make_pool(self.runtime)
            bridge = Bridge(
                self.application,
                threads=4,
                storage=partial(LoopStorage, self.runtime, pool),
                on_stopped=(lambda: None) if pool is None else pool.close,
            )
            bridge.loop = asyncio.get_running_loop()
            for one in requests:
                bridge.take(one, one.request)
            await asyncio.gather(*(one.done.wait() for one in requests))
            self.threads = len(bridge._threads._threads)
            for _ in range(1000):
                if pool is None or pool._open == len(pool._idle):
                    break
                await asyncio.sleep(0.01)  # the last answer came before its connection was put back
            bridge.close()

        on_a_loop(run())
        return requests


def make_pool(runtime):
    """Connect the loop to PostgreSQL; with SQLite every statement takes a thread."""
    is_postgresql = runtime.engine.dialect.name == "postgresql"
    return postgres.Pool(runtime.engine) if is_postgresql else None


@pytest.fixture
def pool(runtime):
    return make_pool(runtime)


@pytest.fixture
def is_postgresql(runtime):
    return runtime.engine.dialect.name == "postgresql"


@pytest.fixture
def loop(app, runtime, session):
    """Return an event loop of this test alone; its connections close with it."""
    runtime.cache._poll_seconds = 3600
    complete(runtime.cache.refresh(SessionStorage(session).one))
    return Loop(app.wsgi_app, runtime, session)


@pytest.fixture
def scene(client, session, app):
    """Return a client and a signed-in person who has the right to orders."""
    api = add_api(session)
    web = register(session, scopes=("openid", "profile", "orders.read"))
    user = add_person(session)
    protocol.add_role(session, user, "clerk", ["orders.approve"], api=api)
    protocol.sign_in(client, session, user)
    obtain(client, web, SCOPE)  # fills the cache of configuration
    return web


def cookie_of(client, issuer_id=1):
    found = client.get_cookie(f"idp_{issuer_id}", domain="127.0.0.1")
    return f"idp_{issuer_id}={found.value}"


def authorization(app, cookie):
    query = urlencode(protocol.authorization_parameters(app, scope=SCOPE))
    return get("/connect/authorize", query, cookie=cookie)


def code_of(answer):
    assert answer.status == 303, answer.content
    return parse_qs(urlsplit(answer.answered["location"]).query)["code"][0]


def redemption(app, code):
    return post(
        "/connect/token",
        grant_type="authorization_code",
        code=code,
        redirect_uri=protocol.CALLBACK,
        code_verifier=protocol.VERIFIER,
        **app.post,
    )


def refreshing(app, token):
    return post("/connect/token", grant_type="refresh_token", refresh_token=token, **app.post)


def counted(session, tag):
    session.rollback()
    return session.scalar(select(func.count()).where(AuditEvent.tag == tag))


def test_a_sign_in_and_all_that_follows_needs_no_thread(
    client, session, scene, loop, is_postgresql
):
    used = []

    def send(request):
        (answer,) = loop.send(request)
        assert answer.status in {200, 303}, answer.content
        used.append(loop.threads)
        return answer

    issued = counted(session, "client:token:issued")
    code = code_of(send(authorization(scene, cookie_of(client))))
    tokens = json.loads(send(redemption(scene, code)).content)
    assert protocol.payload(tokens["access_token"])["permission"] == ["orders.approve"]
    tokens = json.loads(send(refreshing(scene, tokens["refresh_token"])).content)
    call = post("/connect/introspect", token=tokens["access_token"], **scene.post)
    assert json.loads(send(call).content)["active"]
    bearer = protocol.bearer(tokens["access_token"])["Authorization"]
    userinfo = json.loads(send(get("/connect/userinfo", authorization=bearer)).content)
    assert userinfo["sub"] == protocol.payload(tokens["access_token"])["sub"]
    # SQLite cannot be waited for: every step but those from memory takes a thread. What userinfo
    # tells was read a moment ago, for introspection.
    assert [bool(threads) for threads in used] == [not is_postgresql] * 4 + [False]
    assert counted(session, "client:token:issued") == issued + 1
    assert counted(session, "client:token:refreshed") == 1


def pushing(app, **parameters):
    form = protocol.authorization_parameters(app, scope=SCOPE, **parameters)
    return post("/connect/par", **{**form, **app.post})


def opening(app, name, cookie):
    query = urlencode({"client_id": app.client_id, "request_uri": name})
    return get("/connect/authorize", query, cookie=cookie)


def test_a_pushed_request_needs_no_thread(client, session, scene, loop, is_postgresql):
    (pushed,) = loop.send(pushing(scene))
    assert pushed.status == 201, pushed.content
    assert bool(loop.threads) is not is_postgresql
    name = json.loads(pushed.content)["request_uri"]
    (opened,) = loop.send(opening(scene, name, cookie_of(client)))
    assert bool(loop.threads) is not is_postgresql
    (redeemed,) = loop.send(redemption(scene, code_of(opened)))
    assert redeemed.status == 200
    (again,) = loop.send(opening(scene, name, cookie_of(client)))
    assert again.status == 400
    (by_form,) = loop.send(pushing(scene, response_mode="form_post"))
    name = json.loads(by_form.content)["request_uri"]
    (page,) = loop.send(opening(scene, name, cookie_of(client)))
    assert page.status == 200
    assert b'name="code"' in page.content


def test_of_fifty_who_open_a_pushed_request_at_once_one_gets_a_code(client, session, scene, loop):
    (pushed,) = loop.send(pushing(scene))
    name = json.loads(pushed.content)["request_uri"]
    before = session.scalar(select(func.count()).select_from(Grant))
    answers = loop.send(*(opening(scene, name, cookie_of(client)) for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [303] + [400] * 49
    session.rollback()
    assert session.scalar(select(func.count()).select_from(Grant)) == before + 1


def test_of_twenty_registrations_with_a_token_of_five_uses_five_are_made(session, loop):
    token = initial_token(session, uses=5)
    body = json.dumps(metadata()).encode()
    asking = [
        loop_request("POST", "/connect/register", body=body, authorization=f"Bearer {token}")
        for _ in range(20)
    ]
    for one in asking:
        one.request.headers["CONTENT_TYPE"] = "application/json"
    assert sorted(one.status for one in loop.send(*asking)) == [201] * 5 + [401] * 15
    session.rollback()
    assert session.scalar(select(func.count()).select_from(ClientRegistration)) == 5


def test_of_fifty_polls_for_an_allowed_device_one_gets_the_tokens(
    client, session, loop, is_postgresql
):
    app = register(session, "tv", public=True, grants=(DEVICE_CODE, "refresh_token"))
    protocol.sign_in(client, session, add_person(session, "owner"))
    asking = post("/connect/deviceauthorization", scope="openid offline_access", **app.post)
    loop.send(asking)  # the client is read
    (asked,) = loop.send(asking)
    assert bool(loop.threads) is not is_postgresql
    codes = json.loads(asked.content)
    polling = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"], **app.post}
    (waiting,) = loop.send(post("/connect/token", **polling))
    assert json.loads(waiting.content)["error"] == "authorization_pending"
    assert bool(loop.threads) is not is_postgresql
    page = client.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    answer = {"user_code": codes["user_code"], "answer": "allow"}
    done = send(client, page, "/device/answer", answer, follow_redirects=True)
    assert done.request.path == "/device/allowed"
    answers = loop.send(*(post("/connect/token", **polling) for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 49


def test_people_who_come_at_the_same_time_are_not_mixed_up(
    new_client, session, scene, loop, runtime
):
    people = {}
    for number in range(12):
        browser, user = new_client(), add_person(session, f"person-{number}")
        protocol.sign_in(browser, session, user)
        people[str(user.id)] = cookie_of(browser)
    answers = loop.send(*(authorization(scene, cookie) for cookie in people.values()))
    codes = [code_of(answer) for answer in answers]
    answers = loop.send(*(redemption(scene, code) for code in codes))
    subjects = [
        protocol.payload(json.loads(answer.content)["access_token"])["sub"] for answer in answers
    ]
    assert subjects == list(people)


def test_of_many_who_use_a_refresh_token_at_once_one_makes_the_successor(
    client, session, scene, loop
):
    presented = obtain(client, scene, SCOPE).refresh
    answers = loop.send(*(refreshing(scene, presented) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert len({json.loads(answer.content)["refresh_token"] for answer in answers}) == 1
    session.rollback()
    assert protocol.family_of(session, presented).generation == 1


def test_of_many_who_redeem_a_code_at_once_one_gets_tokens_that_end(client, session, scene, loop):
    (answer,) = loop.send(authorization(scene, cookie_of(client)))
    answers = loop.send(*(redemption(scene, code_of(answer)) for _ in range(10)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200] + [400] * 9
    session.rollback()
    newest = session.scalars(select(Grant).order_by(Grant.id.desc())).first()
    assert newest.revoked_reason == "code reused"
    given = next(json.loads(answer.content) for answer in answers if answer.status == 200)
    assert not protocol.is_active(client, scene, given["access_token"])


def test_a_refused_write_leaves_nothing_behind(client, session, scene, loop):
    presented = obtain(client, scene, SCOPE).refresh
    before = session.scalars(select(RefreshFamily.generation)).all()
    assert loop.send(refreshing(scene, presented + "x"))[0].status == 400
    assert (
        loop.send(post("/connect/token", grant_type="refresh_token", **scene.post))[0].status == 400
    )
    session.rollback()
    assert session.scalars(select(RefreshFamily.generation)).all() == before


def test_whoever_is_not_signed_in_is_asked_to_on_a_thread(client, scene, loop, session):
    (answer,) = loop.send(authorization(scene, "idp_1=nobody"))
    assert answer.status == 303
    assert answer.answered["location"].startswith("/login?request=")
    assert loop.threads > 0


def statement(text_of):
    return select(text(text_of))


@pytest.mark.postgresql
def test_a_cancelled_statement_leaves_no_half_used_connection(pool):
    nap, one = select(func.pg_sleep(5)), statement("1")

    async def run():
        # Alone it gets the one connection, and the next one would get the same again.
        await pool.rows(one, {})
        napping = asyncio.create_task(pool.rows(nap, {}))
        await asyncio.sleep(0.2)
        napping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await napping
        assert pool._open == 0
        assert await pool.rows(one, {}) == [[1]]
        assert pool._open == 1
        pool.close()

    on_a_loop(run())


@pytest.mark.postgresql
def test_more_requests_than_connections_take_turns(pool):
    nap = select(func.pg_sleep(0.01))

    async def run():
        naps = (pool.rows(nap, {}) for _ in range(postgres.CONNECTIONS * 5))
        await asyncio.gather(*naps)
        assert pool._open == postgres.CONNECTIONS == len(pool._idle)
        pool.close()
        assert pool._open == 0

    on_a_loop(run())


@pytest.mark.postgresql
def test_who_waits_too_long_for_a_connection_is_told_to_come_back(pool, monkeypatch):
    monkeypatch.setattr(postgres, "WAIT_SECONDS", 0.2)
    nap = select(func.pg_sleep(1))

    async def run():
        naps = [asyncio.create_task(pool.rows(nap, {})) for _ in range(postgres.CONNECTIONS)]
        await asyncio.sleep(0.3)
        with pytest.raises(Unavailable) as refusal:
            await pool.rows(statement("1"), {})
        assert refusal.value.headers["Retry-After"] == "1"
        await asyncio.gather(*naps)
        assert await pool.rows(statement("1"), {}) == [[1]]
        pool.close()

    on_a_loop(run())


@pytest.mark.postgresql
def test_a_mistake_in_a_statement_is_not_taken_for_an_outage(pool):
    async def run():
        with pytest.raises(asyncpg.UndefinedColumnError):
            await pool.rows(statement("nonsense"), {})
        with pytest.raises(BadRequest):
            await pool.rows(statement("1 / 0"), {})
        assert await pool.rows(statement("1"), {}) == [[1]]
        pool.close()

    on_a_loop(run())


@pytest.mark.postgresql
def test_a_query_that_meets_a_lost_connection_is_tried_on_another(pool, session):
    cut = text("SELECT pg_terminate_backend(:pid)")

    async def run():
        ((pid,),) = await pool.rows(statement("pg_backend_pid()"), {})
        session.execute(cut, {"pid": pid})
        ((other,),) = await pool.rows(statement("pg_backend_pid()"), {})
        assert other != pid
        pool.close()

    on_a_loop(run())


@pytest.mark.postgresql
def test_a_statement_that_hangs_gives_its_connection_up(pool, monkeypatch):
    monkeypatch.setattr(postgres, "SECONDS", 0.2)

    async def run():
        with pytest.raises(Unavailable):
            await pool.rows(select(func.pg_sleep(5)), {})
        assert pool._open == 0

    on_a_loop(run())


@pytest.mark.no_database
def test_parameters_that_libpq_keeps_to_itself_are_not_sent():
    url = make_url(
        "postgresql+psycopg://ann:p%40ss@db.example/idp?connect_timeout=3&sslmode=require"
    )
    dsn = postgres.connect_arguments(url, url.query)["dsn"]
    assert dsn == "postgresql://ann:p%40ss@db.example/idp?sslmode=require"


@pytest.mark.no_database
def test_a_coroutine_that_waits_cannot_be_completed_at_once():
    with pytest.raises(RuntimeError, match="no event loop"):
        complete(asyncio.sleep(0))


def test_head_makes_no_code(client, session, scene, loop):
    asking = authorization(scene, cookie_of(client))
    asking.request.method = "HEAD"
    before = counted(session, "client:code:issued")
    (answer,) = loop.send(asking)
    assert answer.status == 405
    assert counted(session, "client:code:issued") == before


def test_a_form_that_posts_the_answer_is_rendered_by_a_thread(client, session, scene, loop):
    parameters = protocol.authorization_parameters(scene, scope=SCOPE, response_mode="form_post")
    before = counted(session, "client:code:issued")
    (answer,) = loop.send(
        get("/connect/authorize", urlencode(parameters), cookie=cookie_of(client))
    )
    assert answer.status == 200
    assert loop.threads > 0
    assert b"<form" in answer.content
    assert counted(session, "client:code:issued") == before + 1


def test_a_machine_is_answered_from_memory(session, scene, client, loop):
    machine = register_machine(session, scopes=["orders.read"])
    form = {"grant_type": "client_credentials", **machine.post}
    assert client.post("/connect/token", data=form).status_code == 200
    (answer,) = loop.send(post("/connect/token", **form))
    assert (answer.status, loop.threads) == (200, 0)


@pytest.mark.postgresql
def test_proofs_of_several_requests_are_written_together(session, scene, client, loop, monkeypatch):
    machine = register_machine(session, scopes=["orders.read"])
    form = {"grant_type": "client_credentials", **machine.post}
    assert client.post("/connect/token", data=form).status_code == 200
    proofs, statements, add = [Prover().proof() for _ in range(20)], [], postgres.Pool._add

    def counted(pool, change, columns):
        statements.append(len(columns["key_hash"]))
        return add(pool, change, columns)

    monkeypatch.setattr(postgres.Pool, "_add", counted)

    def asking(proof):
        request = post("/connect/token", **form)
        request.request.headers["HTTP_DPOP"] = proof
        return request

    answers = loop.send(*map(asking, proofs))
    assert ({one.status for one in answers}, loop.threads) == ({200}, 0)
    assert sum(statements) == 20
    assert len(statements) < 5
    again = loop.send(*map(asking, proofs))
    assert {(one.status, json.loads(one.content)["error"]) for one in again} == {
        (400, "invalid_dpop_proof")
    }
    one = Prover().proof()
    assert sorted(each.status for each in loop.send(*[asking(one) for _ in range(20)])) == [
        200,
        *[400] * 19,
    ]


@pytest.mark.postgresql
def test_a_database_that_dies_before_the_write_leaves_nothing_issued_and_nothing_spent(
    session, scene, client, loop, monkeypatch
):
    machine = register_machine(session, scopes=["orders.read"])
    code = protocol.code_of(protocol.authorize(client, scene, scope=SCOPE))
    asked = protocol.authorization_parameters(scene) | scene.post
    requests = {
        "/connect/token": {"grant_type": "client_credentials", **machine.post},
        "/connect/par": asked,
        "": {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": protocol.CALLBACK,
            "code_verifier": protocol.VERIFIER,
            **scene.post,
        },
    }
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    originals = {name: getattr(postgres.Pool, name) for name in ("_take", "_add", "write")}

    def dies(name):
        """Cut every connection once a statement that writes has got one."""

        async def taking(pool, seconds):
            connection = await originals["_take"](pool, seconds)
            session.execute(cut)
            session.rollback()
            return connection

        def writing(pool, *arguments):
            monkeypatch.setattr(postgres.Pool, "_take", taking)
            return originals[name](pool, *arguments)

        return writing

    for path, form in requests.items():
        where = path or "/connect/token"
        proof = Prover().proof("POST", where)
        request = post(where, **form)
        request.request.headers["HTTP_DPOP"] = proof
        for name in ("_add", "write"):
            monkeypatch.setattr(postgres.Pool, name, dies(name))
        (answer,) = loop.send(request)
        assert answer.status == 503, answer.content
        assert b"token" not in answer.content
        for name, original in originals.items():
            monkeypatch.setattr(postgres.Pool, name, original)
        # The same code and the same proof are good afterwards.
        request = post(where, **form)
        request.request.headers["HTTP_DPOP"] = proof
        (answer,) = loop.send(request)
        assert answer.status in {200, 201}, answer.content


@pytest.mark.postgresql
def test_a_full_disk_costs_503_for_what_writes_and_nothing_for_what_reads(
    session, scene, client, loop
):
    code, open_code = (
        protocol.code_of(protocol.authorize(client, scene, scope=SCOPE)) for _ in range(2)
    )
    tokens = protocol.redeem(client, scene, code).get_json()
    session.execute(text(FULL_DISK))
    writes = loop.send(
        authorization(scene, cookie_of(client)),
        redemption(scene, open_code),
        refreshing(scene, tokens["refresh_token"]),
        pushing(scene),
    )
    assert [answer.status for answer in writes] == [503] * 4
    assert {answer.answered["retry-after"] for answer in writes} == {"1"}
    bearer = protocol.bearer(tokens["access_token"])["Authorization"]
    reads = loop.send(
        post("/connect/introspect", token=tokens["access_token"], **scene.post),
        get("/connect/userinfo", authorization=bearer),
        get("/.well-known/openid-configuration"),
    )
    assert [answer.status for answer in reads] == [200] * 3


def test_a_refusal_is_recorded_once_and_on_a_thread(session, scene, client, loop):
    machine = register_machine(session, scopes=["orders.read"])
    form = {"grant_type": "client_credentials", **machine.post, "client_secret": "wrong" * 9}
    (answer,) = loop.send(post("/connect/token", **form))
    assert answer.status == 401
    assert loop.threads > 0
    assert counted(session, "client:authentication:refused") == 1


def test_what_was_read_is_remembered_until_anything_changes(session, monkeypatch):
    monkeypatch.setattr(cache, "RECENT_SECONDS", 3600.0)
    remembered, calls = cache.ConfigurationCache(), []

    async def ask():
        calls.append(1)
        return len(calls)

    def read(key="a"):
        return complete(remembered.recently(key, ask))

    assert [read(), read()] == [1, 1]
    add_person(session)  # concerns tokens
    assert [read(), read()] == [2, 2]
    session.add(AuditEvent(tag="x:y:z"))  # does not
    session.commit()
    assert read() == 2
    session.execute(text("UPDATE \"user\" SET nick_name = 'x'"))  # who knows
    session.commit()
    assert read() == 3
    remembered.clear()
    assert read() == 4
    monkeypatch.setattr(cache, "RECENT_SECONDS", 0.0)
    assert [read("c"), read("c")] == [5, 6]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(cache, "RECENT", 3)
    remembered = cache.ConfigurationCache()

    async def read():
        return "value"

    for key in range(10):
        complete(remembered.recently(key, read))
    assert list(remembered._recent) == [7, 8, 9]
