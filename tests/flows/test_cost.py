"""What hot requests may cost: statements, round trips, and no wait where none is due."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from idp.directory.product import DEVICE_CODE
from idp.platform import cache
from idp.platform.changes import note_change
from tests import protocol
from tests.client_keys import ClientKey
from tests.protocol import add_api, add_person, obtain, refresh, register, register_machine
from tests.provers import Prover

ISSUER = "http://127.0.0.1:8000"


@pytest.fixture
def statements(runtime, monkeypatch):
    """Every statement of the application, once the cache is warm."""
    runtime.cache._poll_seconds = 3600
    monkeypatch.setattr(cache, "RECENT_SECONDS", 3600.0)
    seen = []

    def note(_connection, _cursor, statement, *_rest):
        if not statement.startswith("BEGIN"):  # SQLite is told so, PostgreSQL by its driver
            seen.append(statement)

    event.listen(runtime.engine, "before_cursor_execute", note)
    yield seen
    event.remove(runtime.engine, "before_cursor_execute", note)


def test_hot_requests_take_few_statements(client, session, runtime, statements):
    api = add_api(session)
    app = register(session, scopes=("openid", "profile", "orders.read"))
    machine = register_machine(session, scopes=["orders.read"])
    user = add_person(session)
    protocol.add_role(session, user, "clerk", ["orders.approve"], api=api)
    protocol.sign_in(client, session, user)
    tokens = obtain(client, app, "openid profile orders.read offline_access")
    form = {"grant_type": "client_credentials", **machine.post}
    client.post("/connect/token", data=form)
    client.get("/.well-known/openid-configuration")

    def count(do):
        session.commit()
        note_change()  # what was read a moment ago is not remembered
        statements.clear()
        answer = do()
        assert answer.status_code in {200, 201, 303}, answer.get_data(as_text=True)
        return len(statements)

    assert count(lambda: client.post("/connect/token", data=form)) == 0
    assert count(lambda: client.get("/.well-known/openid-configuration")) == 0
    assert count(lambda: client.get("/.well-known/openid-configuration/jwks")) == 0
    asked = {"token": tokens.access, **app.post}
    assert count(lambda: client.post("/connect/introspect", data=asked)) == 1
    statements.clear()
    assert client.post("/connect/introspect", data=asked).get_json()["active"]
    bearer = protocol.bearer(tokens.access)
    assert statements == []
    assert count(lambda: client.get("/connect/userinfo", headers=bearer)) == 1
    statements.clear()
    assert client.get("/connect/userinfo", headers=bearer).status_code == 200
    assert statements == []
    # What is written is one statement on PostgreSQL, and one for each row on SQLite.
    is_sqlite = runtime.engine.dialect.name == "sqlite"
    # Find; rotate, the audit event; what the person may do. PostgreSQL finds while it rotates.
    assert count(lambda: refresh(client, app, tokens.refresh)) == (4 if is_sqlite else 2)
    # Session with person and memberships; grant, code, client, trail. At once on PostgreSQL.
    assert count(lambda: protocol.authorize(client, app)) == (5 if is_sqlite else 1)
    form = protocol.authorization_parameters(app)
    # One row and the trail; then the request, and what any other takes with its use. PostgreSQL
    # makes the code at once.
    assert count(lambda: client.post("/connect/par", data=form, headers=app.basic)) == (
        2 if is_sqlite else 1
    )
    name = client.post("/connect/par", data=form, headers=app.basic).get_json()["request_uri"]
    query = {"client_id": app.client_id, "request_uri": name}
    assert count(lambda: client.get("/connect/authorize", query_string=query)) == (
        7 if is_sqlite else 2
    )
    # A level that the session has costs nothing more.
    assert count(lambda: protocol.authorize(client, app, acr_values="pwd")) == (
        5 if is_sqlite else 1
    )


def test_a_device_that_waits_costs_one_query(client, session, runtime, statements, clock):
    grants = (DEVICE_CODE, "refresh_token")
    app = register(session, "tv", public=True, grants=grants)
    ask = {"scope": "openid", **app.post}
    client.post("/connect/deviceauthorization", data=ask)
    session.commit()
    statements.clear()
    codes = client.post("/connect/deviceauthorization", data=ask).get_json()
    # The row and the trail.
    assert len(statements) == (2 if runtime.engine.dialect.name == "sqlite" else 1)
    poll = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"], **app.post}
    for _ in range(3):
        statements.clear()
        assert client.post("/connect/token", data=poll).status_code == 400
        assert [text.split()[0] for text in statements] == ["SELECT"]
        clock.shift(5)


def test_a_proof_costs_one_row(client, session, runtime, statements):
    """It is written with what the request writes, or alone where the request writes nothing."""
    add_api(session)
    app = register(session)
    machine = register_machine(session, scopes=["orders.read"])
    protocol.sign_in(client, session, add_person(session))
    prover = Prover()
    form = {"grant_type": "client_credentials", **machine.post}

    def redeem():
        return {
            "grant_type": "authorization_code",
            "code": protocol.code_of(protocol.authorize(client, app, scope=OFFLINE)),
            "redirect_uri": protocol.CALLBACK,
            "code_verifier": protocol.VERIFIER,
            **app.post,
        }

    def count(form, headers):
        session.commit()
        note_change()
        statements.clear()
        answer = client.post("/connect/token", data=form, headers=headers)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return len(statements), answer.get_json()

    count(form, {})
    count(redeem(), {})
    is_sqlite = runtime.engine.dialect.name == "sqlite"
    assert count(form, prover.shows())[0] == 1
    plain, _ = count(redeem(), {})
    bound, tokens = count(redeem(), prover.shows())
    assert bound - plain == (1 if is_sqlite else 0)

    def refreshed():
        return {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            **app.post,
        }

    plain, tokens = count(refreshed(), {})
    bound, tokens = count(refreshed(), prover.shows())
    assert bound - plain == (1 if is_sqlite else 0)
    token = tokens["access_token"]
    headers = prover.uses(token, "GET", "/connect/userinfo")
    assert client.get("/connect/userinfo", headers=headers).status_code == 200
    statements.clear()
    headers = prover.uses(token, "GET", "/connect/userinfo")
    assert client.get("/connect/userinfo", headers=headers).status_code == 200
    assert len(statements) == 1  # what the token says is remembered, the proof is not


def test_an_assertion_costs_one_row(client, session, runtime, statements):
    """Its key is registered with the client; a signed request and a certificate cost none."""
    add_api(session)
    key = ClientKey()
    keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks}
    machine = register_machine(session, scopes=["orders.read"], **keys)
    bank = register(session, "bank", **keys)
    asked = protocol.authorization_parameters(bank)

    def count(path, app, form):
        statements.clear()
        answer = client.post(path, data={**form, **key.assertion(app)})
        assert answer.status_code in {200, 201}, answer.get_data(as_text=True)
        return len(statements)

    token, push = "/connect/token", "/connect/par"
    form = {"grant_type": "client_credentials"}
    count(token, machine, form)
    count(push, bank, asked)
    session.commit()
    assert count(token, machine, form) == 1
    plain = count(push, bank, asked)
    # The assertion; the request, and its audit event, which PostgreSQL writes at once.
    assert plain == (3 if runtime.engine.dialect.name == "sqlite" else 2)
    assert count(push, bank, {"request": key.request(bank, asked)}) == plain


OFFLINE = "openid offline_access"
