"""Hot requests on the event loop: with PostgreSQL no thread is taken, and nobody is mixed up."""

from __future__ import annotations

import asyncio
import contextvars
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg
import pytest
from sqlalchemy import func, select, text

from idp.oauth.models import Grant, RefreshFamily
from idp.oauth.wsgi import needs_no_thread
from idp.platform import cache, cooperative, direct
from idp.platform.at_once import NeedsThreadError
from idp.platform.audit.models import AuditEvent
from idp.platform.errors import Unavailable
from idp.server.bridge import Bridge
from idp.server.connection import Request
from tests import protocol
from tests.protocol import add_api, add_person, obtain, register

HOST = "127.0.0.1:8000"
SCOPE = "openid profile orders.read offline_access"


@dataclass
class Asked:
    """A request as a connection hands it on, and its answer."""

    request: Request
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, status, headers, body):
        self.status, self.answered, self.content = status, dict(headers), body
        self.done.set()


def asked(method, path, query="", body=b"", **headers):
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    if body:
        named["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
    host, _, port = HOST.partition(":")
    named["HTTP_HOST"] = HOST
    return Asked(Request(method, path, query, "1.1", named, "192.0.2.1", (host, port), body))


def get(path, query="", **headers):
    return asked("GET", path, query, **headers)


def post(path, **form):
    return asked("POST", path, body=urlencode(form).encode())


def on_a_loop(work):
    """Run a coroutine in a thread: a browser of other tests keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


@dataclass
class Loop:
    """Sends requests through the bridge, several at a time."""

    application: object
    session: object
    threads: int = 0

    def send(self, *requests):
        self.session.commit()  # SQLite lets one writer in at a time

        async def run():
            options = {"at_once": needs_no_thread, "on_stopped": self.application.close}
            bridge = Bridge(self.application, threads=4, **options)
            bridge.loop = asyncio.get_running_loop()
            for one in requests:
                bridge.take(one, one.request)
            await asyncio.gather(*(one.done.wait() for one in requests))
            self.threads = len(bridge._threads._threads)
            bridge.close()

        on_a_loop(run())
        return requests


@pytest.fixture
def is_postgresql(runtime):
    return runtime.engine.dialect.name == "postgresql"


@pytest.fixture
def loop(app, runtime, session):
    """Give a loop of its own; what it connected goes with it."""
    runtime.cache._poll_seconds = 3600
    runtime.cache.refresh(session)
    return Loop(app.wsgi_app, session)


@pytest.fixture
def scene(client, session, app):
    """Give a client and a signed-in person who has the right to orders."""
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


def code_of(asked):
    assert asked.status == 303, asked.content
    return parse_qs(urlsplit(asked.answered["location"]).query)["code"][0]


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

    def send(asked):
        (answer,) = loop.send(asked)
        assert answer.status in {200, 303}, answer.content
        used.append(loop.threads)
        return answer

    issued = counted(session, "client:token:issued")
    code = code_of(send(authorization(scene, cookie_of(client))))
    tokens = json.loads(send(redemption(scene, code)).content)
    assert protocol.payload(tokens["access_token"])["permission"] == ["orders.approve"]
    tokens = json.loads(send(refreshing(scene, tokens["refresh_token"])).content)
    asked = post("/connect/introspect", token=tokens["access_token"], **scene.post)
    assert json.loads(send(asked).content)["active"]
    bearer = protocol.bearer(tokens["access_token"])["Authorization"]
    userinfo = json.loads(send(get("/connect/userinfo", authorization=bearer)).content)
    assert userinfo["sub"] == protocol.payload(tokens["access_token"])["sub"]
    # SQLite cannot be waited for: every step but those from memory takes a thread. What userinfo
    # tells was read a moment ago, for introspection.
    assert used == ([0] * 5 if is_postgresql else [1, 1, 1, 1, 0])
    assert counted(session, "client:token:issued") == issued + 1
    assert counted(session, "client:token:refreshed") == 1


def test_people_who_come_at_the_same_time_are_not_mixed_up(
    new_client, session, scene, loop, runtime
):
    people = {}
    for number in range(12):
        browser, user = new_client(), add_person(session, f"person-{number}")
        protocol.sign_in(browser, session, user)
        people[str(user.id)] = cookie_of(browser)
    asked = loop.send(*(authorization(scene, cookie) for cookie in people.values()))
    codes = [code_of(answer) for answer in asked]
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
    (asked,) = loop.send(authorization(scene, cookie_of(client)))
    answers = loop.send(*(redemption(scene, code_of(asked)) for _ in range(10)))
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
    (asked,) = loop.send(authorization(scene, "idp_1=nobody"))
    assert asked.status == 303
    assert asked.answered["location"].startswith("/login?request=")
    assert loop.threads == 1


@pytest.mark.postgresql
def test_who_is_cancelled_leaves_no_half_used_connection(runtime):
    found = runtime.at_once().direct
    nap, one = select(func.pg_sleep(5)), select(text("1"))

    async def run():
        # Alone it gets the one connection, and the next one would get the same again.
        await cooperative.spawn(found.rows, one, {})
        napping = asyncio.create_task(cooperative.spawn(found.rows, nap, {}))
        await asyncio.sleep(0.2)
        napping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await napping
        assert found._open == 0
        assert await cooperative.spawn(found.rows, one, {}) == [(1,)]
        assert found._open == 1
        found.close()

    on_a_loop(run())


@pytest.mark.postgresql
def test_more_requests_than_connections_take_turns(runtime):
    found = runtime.at_once().direct
    nap = select(func.pg_sleep(0.01))

    async def run():
        naps = (cooperative.spawn(found.rows, nap, {}) for _ in range(direct.CONNECTIONS * 5))
        await asyncio.gather(*naps)
        assert found._open == direct.CONNECTIONS == len(found._idle)
        found.close()
        assert found._open == 0

    on_a_loop(run())


@pytest.mark.postgresql
def test_a_mistake_in_a_statement_is_no_reason_to_try_again(runtime):
    found = runtime.at_once().direct

    async def run():
        for do in (found.rows, found.write):
            with pytest.raises(psycopg.ProgrammingError):
                await cooperative.spawn(do, select(text("nonsense")), {})
            with pytest.raises(NeedsThreadError):
                await cooperative.spawn(do, select(text("1 / 0")), {})
        found.close()

    on_a_loop(run())


def test_after_a_write_a_request_never_starts_again(runtime, session, scene, client):
    at_once = runtime.at_once().sessions()
    with pytest.raises(NeedsThreadError):
        at_once.scalars(select(1))
    at_once._has_written = True
    with pytest.raises(RuntimeError, match="cannot start again"):
        at_once.scalars(select(1))


@pytest.mark.postgresql
def test_a_statement_that_hangs_gives_its_connection_up(runtime, monkeypatch):
    monkeypatch.setattr(direct, "SECONDS", 0.2)
    found = runtime.at_once().direct
    nap = select(func.pg_sleep(5))

    async def run():
        with pytest.raises(NeedsThreadError):
            await cooperative.spawn(found.rows, nap, {})
        with pytest.raises(Unavailable):  # nobody knows what became of it
            await cooperative.spawn(found.write, nap, {})
        assert found._open == 0

    on_a_loop(run())


@pytest.mark.no_database
def test_functions_that_wait_keep_context_variables_of_their_own():
    who = contextvars.ContextVar("who", default="nobody")

    def ask(name):
        who.set(name)
        cooperative.wait(asyncio.sleep(0.01))
        assert who.get() == name
        if name == "c":
            raise KeyError(name)
        return name

    async def run():
        found = await asyncio.gather(
            *(cooperative.spawn(ask, name) for name in "abc"), return_exceptions=True
        )
        assert found[:2] == ["a", "b"]
        assert isinstance(found[2], KeyError)
        assert who.get() == "nobody"
        with pytest.raises(TimeoutError):
            await cooperative.spawn(cooperative.wait, asyncio.wait_for(asyncio.sleep(1), 0.01))

    on_a_loop(run())


@pytest.mark.no_database
def test_waiting_outside_of_the_loop_is_a_mistake():
    async def nothing():
        pass

    waiting = nothing()
    with pytest.raises(RuntimeError, match="not inside spawn"):
        cooperative.wait(waiting)
    waiting.close()


def test_what_was_read_is_remembered_until_anything_changes(session, monkeypatch):
    monkeypatch.setattr(cache, "RECENT_SECONDS", 3600.0)
    remembered, asked = cache.ConfigurationCache(), []

    def read():
        return remembered.recently("a", lambda: asked.append(1) or len(asked))

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
    with pytest.raises(KeyError):
        remembered.recently("b", lambda: {}["b"])
    monkeypatch.setattr(cache, "RECENT_SECONDS", 0.0)
    assert [remembered.recently("c", lambda: asked.append(1) or len(asked)) for _ in "xx"] == [5, 6]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(cache, "RECENT", 3)
    remembered = cache.ConfigurationCache()
    for key in range(10):
        remembered.recently(key, lambda key=key: key)
    assert list(remembered._recent) == [7, 8, 9]
