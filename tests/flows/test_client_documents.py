"""Clients that nobody registered: their document says what they are."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from idp.directory.clients import documents
from idp.directory.clients.documents import GRANT_TYPES
from idp.directory.clients.models import Client, ClientRedirectUri, StrangerPolicy
from idp.explain import service as explanations
from idp.explain.service import Question
from idp.oauth import callers
from idp.oauth.models import Consent, Grant
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.errors import Busy, NotFound
from idp.platform.issuer import Issuer
from idp.platform.storage import LoopStorage
from tests import protocol
from tests.attacks import forms
from tests.attacks.forging import assertion_claims
from tests.client_keys import ASSERTION_TYPE, ISSUER, ClientKey
from tests.documents import APP, CALLBACK, ID, Page, document, let_in, publishing
from tests.protocol import App, Tokens, add_api, add_person, redeem, refresh

DISCOVERY = "/.well-known/oauth-authorization-server"


@pytest.fixture
def publisher(runtime, monkeypatch, tmp_path):
    """Return the server of documents, which this installation may fetch from."""
    with publishing(runtime, monkeypatch, tmp_path) as publisher:
        yield publisher


@pytest.fixture
def scene(client, session, publisher):
    """A document, an issuer that lets it in, and a person signed in."""
    publisher.put(document())
    let_in(session)
    user = add_person(session, email="ann@app.example")
    protocol.sign_in(client, session, user)
    return user


def authorize(client, **parameters):
    return protocol.authorize(client, APP, **{"redirect_uri": CALLBACK, **parameters})


def allow(client, asked, *scopes, remember=True):
    """Allow what is asked; return the answer that goes to the client."""
    assert asked.status_code == 303, asked.get_data(as_text=True)
    assert asked.location.startswith("/consent?"), asked.location
    return client.get(forms.allow(client, asked.location, *scopes, remember=remember).location)


def obtain(client, scope="openid offline_access", app=APP, **parameters):
    asked = authorize(client, scope=scope, **parameters)
    code = protocol.code_of(allow(client, asked, *scope.split()))
    uri = parameters.get("redirect_uri", CALLBACK)
    answer = redeem(client, app, code, redirect_uri=uri)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return Tokens(answer.get_json())


def count(session, table):
    session.expire_all()
    return session.scalar(select(func.count()).select_from(table))


def test_a_client_gets_a_row_when_a_person_allows_it_something(client, session, scene, publisher):
    before = count(session, Client)
    for _ in range(3):
        assert authorize(client).location.startswith("/consent?")
    assert count(session, Client) == before
    tokens = obtain(client)
    assert count(session, Client) == before + 1
    assert publisher.asked == [ID]
    row = session.scalars(select(Client).where(Client.client_id == ID)).one()
    assert (row.origin, row.client_name, row.tenant_id) == ("document", "Notes", None)
    assert tokens.claims["client_id"] == ID
    answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
    assert answer.get_json()["sub"] == str(scene.id)
    again = refresh(client, APP, tokens.refresh)
    assert again.status_code == 200, again.get_data(as_text=True)
    # A web application that was allowed to remember is not asked about again.
    assert protocol.code_of(authorize(client))
    assert (count(session, Consent), count(session, Grant)) == (1, 2)


def push(client, app=APP, **parameters):
    asked = {"redirect_uri": CALLBACK, **app.post, **parameters}
    answer = client.post("/connect/par", data=protocol.authorization_parameters(app, **asked))
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return {"client_id": app.client_id, "request_uri": answer.get_json()["request_uri"]}


def test_a_request_is_pushed_before_anybody_allowed_the_client(client, session, scene, publisher):
    other = publisher.put(document("https://other.example/client"))
    before = count(session, Client)
    first, second = push(client), push(client, state="second")
    assert count(session, Client) == before
    stolen = client.get("/connect/authorize", query_string={**first, "client_id": other})
    assert stolen.status_code == 400
    fields = protocol.returned(
        allow(client, client.get("/connect/authorize", query_string=first), "openid")
    )
    assert fields["state"] == "the-state"
    assert redeem(client, APP, fields["code"], redirect_uri=CALLBACK).status_code == 200
    assert count(session, Client) == before + 1
    # Once only; and one that was pushed before the row was there is as good as one afterwards.
    assert client.get("/connect/authorize", query_string=first).status_code == 400
    fields = protocol.returned(client.get("/connect/authorize", query_string=second))
    assert fields["state"] == "second"
    assert protocol.code_of(client.get("/connect/authorize", query_string=push(client)))


def test_a_pushing_client_proves_who_it_is_by_the_keys_of_its_document(
    client, session, scene, publisher
):
    key = ClientKey()
    publisher.put(document(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks))
    asked = protocol.authorization_parameters(APP, redirect_uri=CALLBACK)
    for signer, status in ((ClientKey(), 401), (key, 201)):
        proof = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signer.sign(assertion_claims(ID, ISSUER)),
        }
        assert client.post("/connect/par", data=asked | proof).status_code == status
    assert client.post("/connect/par", data=asked).status_code == 401


def refused(client, app=APP, **parameters):
    """Ask for a page in vain; return what the person reads."""
    asked = {"redirect_uri": CALLBACK, **parameters}
    answer = client.get(
        "/connect/authorize",
        query_string=protocol.authorization_parameters(app, **asked),
        headers={"Accept": "text/html"},
    )
    assert answer.status_code == 400, answer.location
    return answer.get_data(as_text=True)


UNKNOWN = "The application is not known here"
NOT_READ = "cannot be read now"
MISTAKE = "has a mistake"


@pytest.mark.no_database
def test_an_issuer_lets_in_whom_its_policy_names(client, session, publisher):
    other = App("https://other.example/client", None, 0)
    publisher.put(document())
    publisher.put(document(other.client_id))
    member = "client_id_metadata_document_supported"
    assert member not in client.get(DISCOVERY).get_json()
    assert UNKNOWN in refused(client)
    row = let_in(session, clients_by_document="listed", clients_by_document_hosts=["*.example"])
    assert client.get(DISCOVERY).get_json()[member] is True
    assert authorize(client).location.startswith("/login?")
    row.clients_by_document_hosts = ["client.example"]
    session.commit()
    assert UNKNOWN in refused(client, other)
    assert authorize(client).location.startswith("/login?")
    row.clients_by_document = "any"
    row.clients_by_document_blocked = [other.client_id]
    session.commit()
    assert UNKNOWN in refused(client, other)
    for blocked in (["client.example"], ["*.example"]):
        row.clients_by_document_blocked = blocked
        session.commit()
        assert UNKNOWN in refused(client)
    assert len(publisher.asked) == 1  # nothing is fetched for those that are not let in


# What these tools publish, written down here: with members that nobody here knows.
CLAUDE_CODE = document(
    "https://client.example/oauth/claude-code-client-metadata",
    client_name="Claude Code",
    client_uri="https://client.example",
    redirect_uris=["http://localhost/callback", "http://127.0.0.1/callback"],
    grant_types=[
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ],
    response_types=["code"],
)
VS_CODE = document(
    "https://client.example/oauth/vscode",
    client_name="Visual Studio Code",
    grant_types=[
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
    response_types=["code"],
    redirect_uris=[
        "https://client.example/redirect",
        "http://127.0.0.1:33418/",
        "http://127.0.0.1/",
    ],
    application_type="native",
    contacts=["someone@client.example"],
    software_id="5a7b",
)
CHATGPT = document(
    "https://client.example/oauth/chatgpt/client.json",
    client_name="ChatGPT",
    redirect_uris=["https://client.example/connector/oauth/abc"],
    token_endpoint_auth_method=None,
    token_endpoint_auth_methods_supported=["none", "private_key_jwt", "client_secret_post"],
    token_endpoint_auth_signing_alg_values_supported=["RS256", "ES512"],
    grant_types=["authorization_code", "refresh_token"],
    id_token_signed_response_alg="ES512",
    jwks_uri="https://client.example/oauth/jwks.json",
    scope="everything",
)


@pytest.mark.no_database
def test_documents_of_well_known_tools_are_understood(client, session, scene, publisher):
    for content, uri, is_asked_again in (
        (CLAUDE_CODE, "http://localhost:53219/callback", True),
        (VS_CODE, "http://127.0.0.1:33418/", True),
        (VS_CODE, "http://127.0.0.1:9/", True),
    ):
        publisher.put(content)
        app = App(content["client_id"], None, 0)
        asked = protocol.authorize(client, app, redirect_uri=uri, scope="openid offline_access")
        code = protocol.code_of(allow(client, asked, "offline_access"))
        tokens = Tokens(redeem(client, app, code, redirect_uri=uri).get_json())
        assert refresh(client, app, tokens.refresh).status_code == 200
        # Any program on a computer can take the place of another one: it is asked each time.
        again = protocol.authorize(client, app, redirect_uri=uri)
        assert again.location.startswith("/consent?") is is_asked_again
    for wrong in (
        "http://localhost:1/other",
        "http://[::1]/callback",
        "https://localhost/callback",
    ):
        app = App(CLAUDE_CODE["client_id"], None, 0)
        assert "return address" in refused(client, app, redirect_uri=wrong)


@pytest.mark.no_database
def test_a_client_with_keys_proves_that_it_has_them(client, session, scene, publisher):
    key, stranger = ClientKey(), ClientKey()
    publisher.put(CHATGPT)
    publisher.put(key.jwks, CHATGPT["jwks_uri"])
    app, uri = App(CHATGPT["client_id"], None, 0), CHATGPT["redirect_uris"][0]
    code = protocol.code_of(allow(client, protocol.authorize(client, app, redirect_uri=uri)))

    def redeemed(signer, **more):
        jwt = signer.sign(assertion_claims(app.client_id, ISSUER))
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": jwt}
        return redeem(client, app, code, redirect_uri=uri, **{**proof, **more})

    for answer in (redeem(client, app, code, redirect_uri=uri), redeemed(stranger)):
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert redeemed(key).status_code == 200


def unusable():
    """Yield documents that nobody can be known by, and what a person reads."""
    for members in (
        {"client_id": ID + "/"},
        {"client_id": ID.upper()},
        {"client_name": None},
        {"client_name": " "},
        {"client_name": "x" * 101},
        {"client_name": "Notes\u202egpj"},
        {"client_name": "No\u0000tes"},
        {"client_name": ["Notes"]},
        {"redirect_uris": None},
        {"redirect_uris": []},
        {"redirect_uris": CALLBACK},
        {"redirect_uris": [f"{CALLBACK}/{number}" for number in range(21)]},
        {"redirect_uris": ["javascript:alert(1)", "http://client.example/", 5, None]},
        {"grant_types": ["client_credentials", "implicit"]},
        {"client_secret": "s" * 30},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
        {"jwks": {"keys": [ClientKey().key.as_dict(private=True)]}},
        {"jwks": ClientKey().jwks, "jwks_uri": "https://client.example/keys"},
        {"jwks": 5},
        {"jwks_uri": "http://client.example/keys"},
    ):
        content = document()
        content.update(members)
        yield {name: value for name, value in content.items() if value is not None}, {}
    for page in (
        {"content_type": "text/html"},
        {"content_type": "application/jsonp"},
        {"content_type": ""},
    ):
        yield document(), page


@pytest.mark.no_database
def test_a_document_that_cannot_be_used_is_refused_by_a_page(client, session, publisher, clock):
    let_in(session)
    before = count(session, Client)
    for content, page in unusable():
        publisher.put(content, ID, **page)
        clock.shift(60)
        assert MISTAKE in refused(client), (content, page)
    for body in (b"", b"[]", b"{", b"null", b'"x"', b"\xff\xfe{}", b"[" * 3000):
        publisher.pages[ID] = Page(body)
        clock.shift(60)
        assert MISTAKE in refused(client), body
    assert count(session, Client) == before
    publisher.put(document(), content_type="application/vnd.client+json; charset=utf-8")
    clock.shift(60)
    assert authorize(client).location.startswith("/login?")


@pytest.mark.no_database
def test_what_does_not_answer_as_it_should_is_not_read(client, session, publisher, clock):
    let_in(session)
    good = document(note="")
    for page in (
        Page(b"{}", status=404),
        Page(b"{}", status=500),
        Page(b"{}", status=201),
        Page(b"", status=302, headers={"Location": "https://other.example/client"}),
        Page(b"{}", headers={"Content-Encoding": "gzip"}),
    ):
        publisher.pages[ID] = page
        clock.shift(60)
        assert NOT_READ in refused(client), page
    for size, is_read in ((documents.MAX_BYTES, True), (documents.MAX_BYTES + 1, False)):
        publisher.put(good)
        page = publisher.pages[ID]
        page.body = page.body[:-2] + b"x" * (size - len(page.body)) + page.body[-2:]
        assert len(page.body) == size
        clock.shift(86_400)
        if is_read:
            assert authorize(client).location.startswith("/login?")
        else:
            assert NOT_READ in refused(client)


@pytest.mark.no_database
def test_an_application_says_where_a_sign_in_begins(client, session, scene, publisher, clock):
    """As the setting of a registered client: https, and linked where the issuer lets it in."""
    start = "https://client.example/start"

    def link():
        page = client.get("/account/applications", headers={"Accept": "text/html"})
        text = page.get_data(as_text=True)
        assert "Not verified" in text
        return f'href="{start}?iss=http%3A%2F%2F127.0.0.1%3A8000"' in text

    for given, is_linked in (
        (None, False),
        (start, True),
        ("http://client.example/start", False),
        ("https://user@client.example/start", False),
        ("javascript:alert(1)", False),
        (["https://client.example/start"], False),
        (start, True),
    ):
        publisher.put(document(initiate_login_uri=given))
        clock.shift(301)
        protocol.sign_in(client, session, scene)
        allow(client, authorize(client, prompt="consent"))
        assert link() is is_linked, given
        session.expire_all()
        row = session.scalars(select(Client).where(Client.client_id == ID)).one()
        if given is None:  # consents of before this member was read stay good
            assert row.document_hash == "zljdXTNb2rKUG0Qk2qD5i5PhtM91ClSJDUw8NuQrUjE"
        assert row.initiate_login_uri == (start if is_linked else None)
    publisher.put(document(initiate_login_uri="https://client.example/other"))
    clock.shift(301)
    assert authorize(client).location.startswith("/consent?")
    let_in_more(session, clients_by_document_blocked=[ID])
    assert not link()


@pytest.mark.no_database
def test_a_document_is_kept_for_as_long_as_its_server_says_within_bounds(
    client, session, publisher, clock
):
    let_in(session)

    def fetches():
        before = len(publisher.asked)
        assert authorize(client).location.startswith("/login?")
        return len(publisher.asked) - before

    for stated, kept in (
        ({}, 300),
        ({"Cache-Control": "no-store"}, 300),
        ({"Cache-Control": "public, max-age=20"}, 300),
        ({"Cache-Control": "max-age=3600, public"}, 3600),
        ({"Cache-Control": "max-age=99999999"}, 86_400),
    ):
        publisher.put(document(), headers=stated)
        assert fetches() == 1
        clock.shift(kept - 1)
        assert fetches() == 0
        clock.shift(1)
    # A failure is not kept, but the address is left alone for a moment.
    publisher.pages[ID] = Page(b"", status=500)
    before = len(publisher.asked)
    for _ in range(3):
        assert NOT_READ in refused(client)
    assert len(publisher.asked) == before + 1
    publisher.put(document())
    clock.shift(10)
    assert fetches() == 1


@pytest.mark.no_database
def test_a_slow_server_keeps_nobody_waiting_but_those_who_ask_for_it(session, runtime, publisher):
    let_in(session)
    publisher.put(document(), seconds=0.5)
    issuer = Issuer(1, ISSUER, ISSUER.partition("://")[2], "idp")

    async def run(threads):
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        beating = asyncio.ensure_future(beat())
        found = await asyncio.gather(
            *(callers.find(LoopStorage(runtime, None, threads), issuer, ID) for _ in range(20))
        )
        beating.cancel()
        return found, beats

    with ThreadPoolExecutor(1) as outer, ThreadPoolExecutor(2) as threads:
        found, beats = outer.submit(asyncio.run, run(threads)).result()
    assert {view.client_id for view in found} == {ID}
    assert len(publisher.asked) == 1
    assert beats > 1
    # On threads only a few may wait.
    slow = [f"https://client.example/slow/{number}" for number in range(6)]
    for url in slow:
        publisher.put(document(url), seconds=0.5)

    def ask(url):
        with runtime.sessions() as own:
            try:
                return callers.find_now(own, issuer, url)
            except Busy:
                return None

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, slow))
    assert 0 < sum(answer is None for answer in answers) < len(slow)


def test_a_changed_document_is_asked_about_again(client, session, scene, publisher, clock):
    key, new = ClientKey(), ClientKey()
    tokens = obtain(client)
    assert protocol.code_of(authorize(client))
    for change in (
        {"client_name": "Other"},
        {"logo_uri": "https://client.example/logo.png"},
        {"redirect_uris": [CALLBACK, "https://client.example/second"]},
    ):
        publisher.put(document(**change))
        clock.shift(301)
        assert authorize(client).location.startswith("/consent?"), change
        # Who has the keys is the same: refresh tokens go on.
        tokens = Tokens(refresh(client, APP, tokens.refresh).get_json())
    last = obtain(client)
    row = session.scalars(select(Client).where(Client.client_id == ID)).one()
    assert row.client_name == "Notes"  # the last document has this name again
    uris = session.scalars(select(ClientRedirectUri.redirect_uri)).all()
    assert "https://client.example/second" in uris
    tags = session.scalars(select(AuditEvent.tag).where(AuditEvent.tag.like("client:document:%")))
    assert list(tags) == [Tag.DOCUMENT_ACCEPTED, Tag.DOCUMENT_CHANGED]

    method = "private_key_jwt"
    publisher.put(document(token_endpoint_auth_method=method, jwks=key.jwks))
    clock.shift(301)
    assert refresh(client, APP, last.refresh).status_code == 401
    for signer in (key, new):
        publisher.put(document(token_endpoint_auth_method=method, jwks=signer.jwks))
        clock.shift(301)
        jwt = signer.sign(assertion_claims(ID, ISSUER))
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": jwt}
        answer = refresh(client, APP, last.refresh, **proof)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    answer = client.get("/connect/userinfo", headers=protocol.bearer(last.access))
    assert answer.status_code == 401


def test_what_is_not_to_be_remembered_is_asked_again_and_shown(client, session, scene):
    for remember, is_asked in ((False, True), (True, False), (False, True)):
        asked = authorize(client, prompt="consent")
        assert protocol.code_of(allow(client, asked, remember=remember))
        assert authorize(client).location.startswith("/consent?") is is_asked
        page = client.get("/account/applications", headers={"Accept": "text/html"})
        assert "client.example" in page.get_data(as_text=True)
    assert count(session, Consent) == 1


def test_a_document_that_changes_at_each_fetch_is_asked_about_each_time(
    client, session, scene, publisher, clock
):
    names = iter(range(100))

    def page():
        publisher.put(document(client_name=f"Notes {next(names)}"), "https://client.example/made")
        return publisher.pages["https://client.example/made"]

    publisher.pages[ID] = page
    answered = forms.allow(client, authorize(client).location)
    # What comes next may be another process, which has seen the next version.
    clock.shift(301)
    answer = client.get(answered.location)
    assert answer.location.startswith("/consent?")
    assert protocol.code_of(allow(client, answer))
    clock.shift(301)
    assert authorize(client).location.startswith("/consent?")
    assert count(session, Grant) == 1


@pytest.mark.no_database
def test_it_gets_no_more_scopes_than_strangers_may_have(client, session, scene, publisher):
    opened = add_api(session, "opened", ["opened.read"])
    opened.open_to_strangers = True
    add_api(session, "orders", ["orders.read", "orders.write"])
    row = let_in_more(session, stranger_scopes=["orders.read"])

    def error(scope):
        fields = protocol.returned(authorize(client, scope=scope))
        return fields.get("error")

    tokens = obtain(client, "openid profile email opened.read orders.read offline_access")
    assert sorted(tokens.claims["aud"]) == ["http://127.0.0.1:8000", "opened", "orders"]
    assert tokens.claims["exp"] - tokens.claims["iat"] == 3600
    for scope in ("orders.write", "openid orders.write", "openid phone"):
        assert error(scope) == "invalid_scope", scope
    # What it may have no more is left out of its tokens.
    row.stranger_scopes = []
    session.commit()
    left = refresh(client, APP, tokens.refresh).get_json()["scope"].split()
    assert "orders.read" not in left
    assert "opened.read" in left


def let_in_more(session, **columns):
    row = session.scalars(select(StrangerPolicy)).one()
    for name, value in columns.items():
        setattr(row, name, value)
    session.commit()
    return row


@pytest.mark.no_database
def test_scripts_of_its_own_site_may_call_us(client, session, scene):
    code = protocol.code_of(allow(client, authorize(client)))

    def allowed(path, origin, **options):
        answer = client.open(
            path, headers={"Origin": origin, **options.pop("headers", {})}, **options
        )
        return answer, answer.headers.get("Access-Control-Allow-Origin")

    own, foreign = "https://client.example", "https://other.example"
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": protocol.VERIFIER,
        "client_id": ID,
    }
    answer, origin = allowed("/connect/token", own, method="POST", data=form)
    assert (answer.status_code, origin) == (200, own)
    token = protocol.bearer(answer.get_json()["access_token"])
    assert allowed("/connect/userinfo", own, headers=token)[1] == own
    for path, data in (("/connect/userinfo", None), ("/connect/token", form)):
        method = "GET" if data is None else "POST"
        assert allowed(path, foreign, headers=token, method=method, data=data)[1] is None


def test_its_tokens_end_when_it_is_blocked_switched_off_or_removed(
    client, session, scene, publisher
):
    tokens = obtain(client)

    def works():
        answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
        return answer.status_code == 200

    assert works()
    row = let_in_more(session, clients_by_document_blocked=[ID])
    assert not works()
    assert refresh(client, APP, tokens.refresh).status_code == 401
    row.clients_by_document_blocked = []
    session.commit()
    assert works()
    stored = session.scalars(select(Client).where(Client.client_id == ID)).one()
    stored.enabled = False
    session.commit()
    assert not works()
    assert UNKNOWN in refused(client)
    stored.enabled = True
    session.commit()
    page = client.get("/account/applications", headers={"Accept": "text/html"})
    text = page.get_data(as_text=True)
    assert "client.example" in text
    assert "Not verified" in text
    consent = session.scalars(select(Consent)).one()
    client.post(
        f"/account/applications/{consent.id}/revoke",
        data={"csrf_token": forms.token_in(page)},
        headers={"Accept": "text/html", "Origin": client.base_url},
    )
    assert not works()
    assert count(session, Consent) == 0


@pytest.mark.no_database
def test_a_registered_client_of_that_name_is_not_looked_for_elsewhere(client, session, publisher):
    let_in(session)
    publisher.put(document())
    app = protocol.register(session, ID, public=True)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    assert protocol.code_of(protocol.authorize(client, app))
    assert publisher.asked == []


@pytest.mark.no_database
def test_its_tokens_are_explained_before_anybody_allowed_it_something(
    client, session, publisher, clock
):
    user = add_person(session, email="ann@app.example")
    publisher.put(document())

    def explained(within=None, client_id=ID):
        question = Question(client_id, 1, user.id, ("openid", "email", "orders.read"))
        return explanations.explain(session, question, within=within)

    def why(client_id=ID):
        refused = explained(client_id=client_id).refused
        return refused.error, refused.description

    assert why() == ("invalid_client", "The issuer does not let the application in")
    assert publisher.asked == []
    row = let_in(session)
    add_api(session, "orders", ["orders.read"])
    before = count(session, Client)
    assert why() == ("invalid_scope", "The client may not have the scope 'orders.read'")
    row.stranger_scopes = ["orders.read"]
    session.commit()
    found = explained()
    assert (found.refused, found.consent, found.grant_type) == (None, "needed", GRANT_TYPES[0])
    assert found.access_token.claims["client_id"] == ID
    assert "orders" in found.access_token.audience
    assert [line.is_granted for line in found.scopes] == [True] * 3
    assert publisher.asked == [ID]
    with pytest.raises(NotFound):
        explained(within=1)
    broken = publisher.put(document("https://client.example/broken", client_name=None))
    error, description = why(broken)
    assert error == "invalid_client"
    assert MISTAKE in description
    assert why("https://client.example/missing")[0] == "invalid_client"
    assert count(session, Client) == before
