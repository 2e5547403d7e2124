"""What hot requests may cost: statements, round trips, and no wait where none is due."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import event, func, select

from idp.platform import cache
from idp.platform.at_once import NeedsThreadError
from idp.platform.audit.models import AuditEvent
from idp.platform.changes import note_change
from idp.platform.web.visit import AT_ONCE_KEY
from tests import protocol
from tests.attacks.forging import assertion_claims
from tests.protocol import add_api, add_person, obtain, refresh, register, register_machine

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
        assert answer.status_code in {200, 303}, answer.get_data(as_text=True)
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
    # Find, what the person may do; rotate, the audit event.
    assert count(lambda: refresh(client, app, tokens.refresh)) == (4 if is_sqlite else 3)
    # Session with person and memberships; grant, code, the trail.
    assert count(lambda: protocol.authorize(client, app)) == (4 if is_sqlite else 2)


def at_once(client, form):
    return client.post("/connect/token", data=form, environ_overrides={AT_ONCE_KEY: True})


def test_a_machine_is_answered_from_memory(client, session, statements):
    add_api(session)
    machine = register_machine(session, scopes=["orders.read"])
    form = {"grant_type": "client_credentials", **machine.post}
    with pytest.raises(NeedsThreadError):
        at_once(client, form)
    assert client.post("/connect/token", data=form).status_code == 200
    statements.clear()
    answer = at_once(client, form)
    assert answer.status_code == 200
    assert protocol.is_active(client, machine, answer.get_json()["access_token"])


def test_a_look_at_the_version_is_left_to_who_may_wait(client, session, runtime):
    add_api(session)
    machine = register_machine(session, scopes=["orders.read"])
    form = {"grant_type": "client_credentials", **machine.post}
    assert client.post("/connect/token", data=form).status_code == 200
    # The interval is over at every request here: nobody may answer from what may be stale.
    for _ in range(2):
        with pytest.raises(NeedsThreadError):
            at_once(client, form)
        assert runtime.cache.is_due()


def test_a_refusal_is_counted_and_noted_once(client, session, statements):
    add_api(session)
    machine = register_machine(session, scopes=["orders.read"])
    form = {"grant_type": "client_credentials", **machine.post}
    assert client.post("/connect/token", data=form).status_code == 200
    wrong = {**form, "client_secret": "a-wrong-secret-of-the-right-length"}
    with pytest.raises(NeedsThreadError):
        at_once(client, wrong)
    refused = select(func.count()).where(AuditEvent.tag == "client:authentication:refused")
    assert session.scalar(refused) == 0
    assert client.post("/connect/token", data=wrong).status_code == 401
    assert session.scalar(refused) == 1


def test_keys_of_a_client_are_not_fetched_where_nothing_may_wait(client, session, statements):
    add_api(session)
    key = ECKey.generate_key("P-256")
    app = register_machine(
        session,
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri="https://app.example/jwks",
    )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode(
            {"alg": "ES256", "kid": "one"}, assertion_claims(app.client_id, ISSUER), key
        ),
    }
    client.post("/connect/token", data=form)  # fills the cache
    with pytest.raises(NeedsThreadError):
        at_once(client, form)
