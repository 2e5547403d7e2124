"""The client credentials grant, end to end."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, event, func, select

from idp.oauth.models import ReferenceToken
from idp.platform.changes import note_change
from tests import protocol
from tests.protocol import (
    add_api,
    add_person,
    authorize,
    machine_token,
    redeem,
    register,
    register_machine,
)


class Statements:
    """Counts the statements that the database receives."""

    def __init__(self, engine):
        self.texts = []
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _connection, _cursor, statement, *_):
        self.texts.append(statement)

    def since(self):
        """Return the statements since the last call."""
        texts, self.texts = self.texts, []
        return [text for text in texts if not text.startswith("BEGIN")]


def rows(session):
    connection = session.connection()
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        table.name: connection.scalar(select(func.count()).select_from(table))
        for table in metadata.sorted_tables
    }


@pytest.mark.no_database
def test_a_machine_gets_a_token_for_its_api(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read", "orders.write"])
    answer = machine_token(client, app, scope="orders.read")
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert body["scope"] == "orders.read"
    claims = protocol.payload(body["access_token"])
    assert claims["sub"] == claims["client_id"] == "machine"
    assert claims["aud"] == "orders"
    assert claims["scope"] == "orders.read"
    assert claims["iss"] == "http://127.0.0.1:8000"
    assert not {"role", "permission", "tenant", "sid", "auth_time"} & claims.keys()
    assert protocol.header(body["access_token"])["typ"] == "at+jwt"
    by_header = client.post(
        "/connect/token", data={"grant_type": "client_credentials"}, headers=app.basic
    )
    assert by_header.status_code == 200


@pytest.mark.no_database
def test_without_scope_it_gets_all_of_its_api_scopes(client, session):
    add_api(session)
    add_api(session, "stock", ["stock.read"])
    app = register_machine(session, scopes=["orders.read", "stock.read", "openid"])
    claims = protocol.payload(machine_token(client, app).get_json()["access_token"])
    assert set(claims["scope"].split()) == {"orders.read", "stock.read"}
    assert claims["aud"] == ["orders", "stock"]
    one = machine_token(client, app, resource="stock").get_json()
    assert one["scope"] == "stock.read"
    assert protocol.payload(one["access_token"])["aud"] == "stock"


@pytest.mark.no_database
def test_what_it_may_not_have_is_refused(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read", "openid", "profile"])
    bare = register_machine(session, "bare")
    web = register(session)
    for client_app, parameters, error in (
        (app, {"scope": "orders.write"}, "invalid_scope"),
        (app, {"scope": "openid"}, "invalid_scope"),
        (app, {"scope": "orders.read profile"}, "invalid_scope"),
        (app, {"scope": "offline_access unknown"}, "invalid_scope"),
        (app, {"scope": " ".join(f"unknown{i}" for i in range(20_000))}, "invalid_scope"),
        (app, {"scope": "ids4.ms.all"}, "invalid_scope"),
        (app, {"scope": " "}, "invalid_scope"),
        (app, {"resource": "ids4.ms"}, "invalid_target"),
        (app, {"resource": "unknown"}, "invalid_target"),
        (bare, {}, "invalid_scope"),
        (web, {}, "unauthorized_client"),
        (app, {"grant_type": "password"}, "unsupported_grant_type"),
        (app, {"grant_type": "authorization_code"}, "unauthorized_client"),
        (app, {"grant_type": ""}, "invalid_request"),
    ):
        answer = machine_token(client, client_app, **parameters)
        assert answer.status_code == 400, parameters
        assert answer.get_json()["error"] == error, parameters


@pytest.mark.no_database
def test_the_api_chooses_the_signature(client, session):
    add_api(session, properties={"signing_alg": "ES256"})
    add_api(session, "stock", ["stock.read"], properties={"signing_alg": "EdDSA"})
    app = register_machine(session, scopes=["orders.read", "stock.read"])

    def alg(**parameters):
        token = machine_token(client, app, **parameters).get_json()["access_token"]
        assert protocol.is_active(client, app, token)
        return protocol.header(token)["alg"]

    assert alg(resource="orders") == "ES256"
    assert alg(resource="stock") == "EdDSA"
    # One token cannot please both: it is signed as the service signs.
    assert alg() == "RS256"


def test_a_jwt_leaves_no_row_and_asks_nothing(client, session, runtime):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    assert machine_token(client, app).status_code == 200
    before = rows(session)
    statements = Statements(runtime.engine)
    assert machine_token(client, app).status_code == 200
    # Only whether configuration changed, which a server asks once a second.
    [only] = statements.since()
    assert "configuration_version" in only
    runtime.cache._poll_seconds = 3600
    machine_token(client, app)
    statements.since()
    assert machine_token(client, app).status_code == 200
    assert statements.since() == []
    assert rows(session) == before


def test_a_reference_token_is_kept_as_a_hash(client, session, clock):
    add_api(session)
    app = register_machine(
        session, scopes=["orders.read"], access_token_type=1, access_token_lifetime=60
    )
    token = machine_token(client, app).get_json()["access_token"]
    assert token.startswith("at_")
    stored = session.scalars(select(ReferenceToken)).one()
    assert token.encode() not in stored.token_hash
    content = protocol.introspect(client, app, token)
    assert content["active"]
    assert content["sub"] == "machine"
    assert content["aud"] == "orders"
    clock.shift(60)
    assert protocol.introspect(client, app, token) == {"active": False}


def test_a_code_is_redeemed_with_few_statements(client, session, runtime):
    api = add_api(session)
    app = register(session, scopes=("openid", "orders.read"))
    user = add_person(session)
    protocol.add_role(session, user, "clerk", ["orders.approve"], api=api)
    protocol.sign_in(client, session, user)
    codes = [
        protocol.code_of(authorize(client, app, scope="openid orders.read offline_access"))
        for _ in range(2)
    ]
    runtime.cache._poll_seconds = 3600
    assert redeem(client, app, codes[0]).status_code == 200
    statements = Statements(runtime.engine)
    note_change()  # what was read a moment ago is not remembered
    assert redeem(client, app, codes[1]).status_code == 200
    asked = statements.since()
    # Code with grant and person, roles and rights; code spent, refresh token and event added, which
    # is one statement on PostgreSQL.
    assert len(asked) == (5 if runtime.engine.dialect.name == "sqlite" else 3), asked
