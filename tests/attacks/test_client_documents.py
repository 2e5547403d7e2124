"""What strangers try whose document says who they are (attacks 53 to 57)."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import func, select, update

from idp.directory.clients.models import Client
from idp.directory.resources import service as resources
from idp.directory.resources.service import NewApi
from idp.directory.tenants import service as tenants
from idp.jobs import EXPIRIES
from idp.oauth import callers
from idp.oauth.endpoints.authorize import authorize as authorize_endpoint
from idp.oauth.models import AuthorizationRequest, PushedRequest
from idp.oauth.request import ProtocolRequest
from idp.oauth.server import offer
from idp.platform import clock, documents
from idp.platform.db import Base
from idp.platform.errors import Busy, Conflict
from idp.platform.issuer import Issuer
from idp.platform.jobs import cleanup
from idp.platform.storage import LoopStorage, SessionStorage, complete
from tests import protocol
from tests.attacks import forms
from tests.client_keys import ISSUER
from tests.documents import APP, CALLBACK, ID, Page, document, let_in, publishing
from tests.protocol import App, add_api, add_person, add_role

pytestmark = pytest.mark.no_database
HOST = ISSUER.partition("://")[2]
HTML = {"Accept": "text/html"}


@pytest.fixture
def publisher(runtime, session, monkeypatch, tmp_path):
    """Return the server of documents; the issuer lets everybody in."""
    let_in(session)
    with publishing(runtime, monkeypatch, tmp_path) as publisher:
        yield publisher


@pytest.fixture
def ann(client, session):
    user = add_person(session)
    protocol.sign_in(client, session, user)
    return user


def authorize(client, app=APP, **parameters):
    asked = protocol.authorization_parameters(app, **{"redirect_uri": CALLBACK, **parameters})
    return client.get("/connect/authorize", query_string=asked, headers=HTML)


def rows(session):
    session.expire_all()
    return session.scalar(select(func.count()).select_from(Client))


def all_rows(session):
    """Return how many rows each table has; refusals are kept briefly, and a few at most."""
    session.rollback()
    tables = [table for table in Base.metadata.sorted_tables if table.name != "refusal"]
    return {table.name: session.scalar(select(func.count()).select_from(table)) for table in tables}


def test_nothing_inner_is_fetched_and_nothing_is_told_of_it(
    client, session, publisher, monkeypatch
):
    monkeypatch.setattr(documents, "TIMEOUT_SECONDS", 0.3)
    before = rows(session)
    publisher.addresses = {
        "inner.example": ["10.0.0.1"],
        "both.example": ["127.0.0.1", "169.254.169.254"],
        "mapped.example": ["192.168.0.1"],
    }
    hosts = [*publisher.addresses, "missing.example"]
    publisher.hidden.add("missing.example")
    told = set()
    for url in (
        *(f"https://{host}/client" for host in hosts),
        "https://client.example:8443/client",
        "https://127.0.0.1/client",
        "https://0x7f.1/client",
    ):
        publisher.put(document(url))
        page = authorize(client, App(url, None, 0))
        assert page.status_code == 400
        told.add(page.get_data(as_text=True).partition("<main")[2].partition("Request")[0])
    assert len(told) == 1  # the same for all
    assert publisher.asked == []
    slow, odd = "https://client.example/slow", "https://client.example/odd"
    publisher.put(document(slow), seconds=0.6)
    assert authorize(client, App(slow, None, 0)).status_code == 400
    for headers in ({"Location": odd}, {"Content-Encoding": "gzip"}, {"Content-Length": "9" * 30}):
        publisher.put(document(odd), headers=headers)
        app = App(f"{odd}/{len(headers)}{next(iter(headers))}", None, 0)
        assert authorize(client, app).status_code == 400
    assert rows(session) == before


def test_no_address_is_a_document_that_could_be_read_as_another(client, publisher):
    for url in (
        *("http://client.example/client", "https://client.example", "https://client.example/"),
        *("https://client.example/a/../client", "https://client.example/%2e%2e/client"),
        *("https://client.example/a/%252e%252e/client", "https://client.example/./client"),
        *("https://ann@client.example/client", "https://client.example/client#x"),
        *("https://client.example/client?a=b", "https://Client.example/client"),
        *("https://client.example/cliént", "https://client.example/%zz", "https:///client"),
        *("https://client.example\\@other.example/client", "HTTPS://client.example/client"),
        *("https://client.example/" + "x" * 200, "https://client.example/\tclient"),
    ):
        publisher.put(document(url))
        answer = authorize(client, App(url, None, 0))
        assert answer.status_code == 400, url
    assert publisher.asked == []


def test_a_flood_of_documents_leaves_registered_clients_alone(runtime, session, publisher):
    issuer = Issuer(1, ISSUER, ISSUER.partition("://")[2], "idp")
    protocol.register(session, "web")
    ids = [f"https://client.example/{number}" for number in range(500)]
    for url in ids:
        publisher.put(document(url), seconds=2)

    async def find(threads, client_id):
        try:
            return await callers.find(LoopStorage(runtime, None, threads), issuer, client_id)
        except Busy as problem:
            return problem

    async def flood(threads):
        strangers = asyncio.gather(*(find(threads, url) for url in ids))
        await asyncio.sleep(0)
        known = [await find(threads, "web") for _ in range(20)]
        return known, strangers.done(), await strangers

    with ThreadPoolExecutor(1) as outer, ThreadPoolExecutor(4) as threads:
        known, was_done, found = outer.submit(asyncio.run, flood(threads)).result()
    assert {view.client_id for view in known} == {"web"}
    assert not was_done
    refused = [one for one in found if isinstance(one, Busy)]
    assert len(refused) == len(ids) - documents.CONCURRENT
    assert (refused[0].status, refused[0].headers["Retry-After"]) == (503, "5")
    # Nor are more fetched in a minute than the operator allows.
    runtime.documents._per_minute = 1
    late = [publisher.put(document(f"https://client.example/late/{number}")) for number in (1, 2)]
    assert not isinstance(callers_now(runtime, issuer, late[0]), Busy)
    assert isinstance(callers_now(runtime, issuer, late[1]), Busy)


def test_an_invented_document_takes_no_thread(runtime, session, publisher):
    issuer = Issuer(1, ISSUER, ISSUER.partition("://")[2], "idp")
    runtime.cache._poll_seconds = 3600
    publisher.put(document())
    assert callers_now(runtime, issuer, ID) is not None  # the policy is in memory now
    runtime.documents._per_minute = 0
    asked = []

    class Pool:
        async def rows(self, _query, values, _budget):
            asked.append(values)
            return []

    class Threads(ThreadPoolExecutor):
        def submit(self, *_arguments):
            raise AssertionError("a thread was taken")

    async def find(number):
        storage = LoopStorage(runtime, Pool(), Threads(1))
        with pytest.raises(Busy):
            await callers.find(storage, issuer, f"https://client.example/invented/{number}")

    with ThreadPoolExecutor(1) as outer:
        for number in range(3):
            outer.submit(asyncio.run, find(number)).result()
    assert len(asked) == 3


def callers_now(runtime, issuer, client_id):
    with runtime.sessions() as session:
        try:
            return callers.find_now(session, issuer, client_id)
        except Busy as problem:
            return problem


def test_requests_without_consent_leave_no_row(client, session, publisher, ann):
    publisher.put(document())
    before = rows(session)
    for number in range(200):
        answer = authorize(client, prompt="none", state=str(number))
        assert protocol.returned(answer)["error"] == "consent_required"
    token = client.post(
        "/connect/token", data={"grant_type": "authorization_code", "code": "x"} | APP.post
    )
    assert (token.status_code, token.get_json()["error"]) == (401, "invalid_client")
    other = "https://other.example/never-seen"
    for path in ("token", "revocation", "introspect"):
        answer = client.post(f"/connect/{path}", data={"client_id": other, "token": "x"})
        assert answer.status_code == 401
    assert publisher.asked == [ID]  # these endpoints fetch for nobody that no person allowed
    assert rows(session) == before


def test_ten_thousand_requests_without_consent_leave_no_row(session, publisher):
    """By the coroutine of the endpoint; each in a transaction of its own, as behind HTTP.

    `prompt=none` stands for people who close the page: what a page waits for is a row that goes
    by itself, see the next test.
    """
    ids = [publisher.put(document(f"https://client.example/{number}")) for number in range(50)]
    _, cookie = protocol.start_session(session, HOST, add_person(session))
    storage, server = SessionStorage(session), offer()
    issuer = tenants.find_issuer(session, HOST)

    def ask(client_id, number):
        asked = protocol.authorization_parameters(
            App(client_id, None, 0), redirect_uri=CALLBACK, prompt="none", state=str(number)
        )
        request = ProtocolRequest(
            "GET",
            "/connect/authorize",
            issuer,
            server,
            session_cookie=cookie,
            query=tuple(asked.items()),
            remote_addr="192.0.2.1",
        )
        answer = complete(authorize_endpoint(request, storage))
        session.commit()
        return dict(answer.headers)["Location"]

    before = all_rows(session)
    for number in range(10_000):
        assert "error=consent_required" in ask(ids[number % len(ids)], number)
    assert sorted(publisher.asked) == sorted(ids)
    assert all_rows(session) == before


def test_a_page_that_nobody_answers_leaves_a_row_that_goes(
    client, session, runtime, publisher, ann
):
    publisher.put(document())
    before = all_rows(session)
    for number in range(5):
        assert authorize(client, state=str(number)).location.startswith("/consent?")
    assert all_rows(session) == {**before, "authorization_request": 5}
    past = clock.now() - timedelta(days=2)
    session.execute(update(AuthorizationRequest).values(expires_at=past))
    session.commit()
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    assert all_rows(session) == before


def push(client, client_id=ID, **parameters):
    asked = {"redirect_uri": CALLBACK, **parameters}
    form = protocol.authorization_parameters(App(client_id, None, 0), **asked)
    return client.post("/connect/par", data=form)


def test_pushed_requests_of_strangers_leave_nothing_for_long(
    client, session, runtime, publisher, ann, monkeypatch
):
    monkeypatch.setattr(callers, "STRANGER_PER_MINUTE", 5)
    publisher.put(document())
    before = all_rows(session)
    answers = [push(client).status_code for _ in range(7)]
    assert answers == [201] * 5 + [429] * 2
    other = publisher.put(document("https://client.example/other"))
    assert push(client, other).status_code == 429  # neither by another name
    assert publisher.asked == [ID]
    assert all_rows(session) == {**before, "pushed_request": 5}
    session.execute(update(PushedRequest).values(expires_at=clock.now() - timedelta(seconds=1)))
    session.commit()
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    assert all_rows(session) == before


def test_a_name_that_is_taken_is_nobodys_document(client, session, publisher, ann):
    publisher.put(document())
    add_api(session, ID, ["taken.read"])
    assert authorize(client).status_code == 400
    own = "https://client.example/own"
    publisher.put(document(own))
    asked = authorize(client, App(own, None, 0))
    client.get(forms.allow(client, asked.location).location)
    assert rows(session)
    with pytest.raises(Conflict):
        resources.create_api(session, NewApi(name=own))


def test_the_page_shows_whose_document_it_is_and_loads_nothing_of_theirs(
    client, session, publisher, ann, monkeypatch
):
    monkeypatch.setattr(documents, "TRIES_PER_MINUTE", 100)
    url = "https://claude-ai.example/client"
    logo = "https://claude-ai.example/logo.png"
    publisher.put(
        document(
            url,
            client_name="Claude <b>",
            redirect_uris=["http://localhost/callback"],
            logo_uri=logo,
            client_uri="https://client.example",
        )
    )
    asked = authorize(client, App(url, None, 0), redirect_uri="http://localhost:4000/callback")
    page = client.get(asked.location, headers=HTML)
    text = page.get_data(as_text=True)
    assert '<h1 class="site">claude-ai.example</h1>' in text
    assert "<bdi>Claude &lt;b&gt;</bdi>" in text
    assert "has not checked this application" in text
    assert "a program on this computer" in text
    assert "claude-ai.example" not in page.headers["Content-Security-Policy"]
    assert logo not in text

    def drawn(kind, **options):
        stream = BytesIO()
        Image.new("RGB", options.pop("size", (600, 400)), "red").save(stream, kind)
        return stream.getvalue()

    address = "/consent/logo?" + asked.location.partition("?")[2]
    for body, content_type, is_shown in (
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "image/svg+xml", False),
        (b"<html>", "image/png", False),
        (drawn("PNG") + b"<script>", "image/png", True),
        (drawn("PNG") + b"x" * 70_000, "image/png", False),
        (drawn("PNG", size=(4000, 4000)), "image/png", False),
        (drawn("GIF"), "image/gif", False),
        (drawn("JPEG"), "image/jpeg", True),
        (drawn("WEBP"), "image/webp", True),
    ):
        publisher.pages[logo] = Page(body, content_type)
        forget(client, f"logo {logo}")
        answer = client.get(address)
        assert answer.status_code == (200 if is_shown else 404), content_type
        if is_shown:
            assert answer.headers["Content-Type"] == "image/png"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            with Image.open(BytesIO(answer.data)) as picture:
                assert max(picture.size) <= 128
            assert b"script" not in answer.data


def forget(client, key):
    found = client.application.extensions["idp"].documents
    found._kept.pop(key, None)
    found._failed.pop(key, None)


def test_a_stranger_gets_no_right_of_the_product_or_of_another_tenant(
    client, session, publisher, ann
):
    publisher.put(document())
    tenant = protocol.add_tenant(session, "Acme", ["acme.example"])
    theirs = add_api(session, "theirs", ["theirs.read"], tenant_id=tenant)
    ours = add_api(session, "ours", ["ours.read"], user_claims=["permission"])
    theirs.open_to_strangers = ours.open_to_strangers = True
    session.commit()
    add_role(session, ann, privileges=["ours.delete"], api=ours)
    for scope in ("ids4.ms.client.all", "ids4.ms.admin.clients.read", "theirs.read"):
        answer = authorize(client, scope=f"openid {scope}")
        assert protocol.returned(answer)["error"] == "invalid_scope", scope
    wish = {"permission": None, "role": None}
    asked = authorize(
        client,
        scope="openid ours.read",
        claims=json.dumps({"id_token": wish, "userinfo": wish}),
    )
    allowed = client.get(forms.allow(client, asked.location, "ours.read").location)
    answer = protocol.redeem(client, APP, protocol.code_of(allowed), redirect_uri=CALLBACK)
    tokens = protocol.Tokens(answer.get_json())
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).get_json()
    for claims in (tokens.identity, userinfo):
        assert "role" not in claims
    for claims in (tokens.claims, tokens.identity, userinfo):
        assert "permission" not in claims
        assert "permission_ref" not in claims
