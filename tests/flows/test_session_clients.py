"""The clients that a browser session signed in to, kept for as long as the session."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, select, update

from idp.jobs import EXPIRIES
from idp.oauth.models import Grant, SessionClient
from idp.platform.jobs import cleanup
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.protocol import add_person, register

HOUR = 3600


@pytest.fixture
def ann(client, session):
    user = add_person(session)
    protocol.sign_in(client, session, user)
    return user


def rows(session):
    session.rollback()
    return session.scalars(select(SessionClient).order_by(SessionClient.id)).all()


def test_each_client_of_a_session_is_one_row(client, session, ann, clock):
    web, other = register(session), register(session, "other")
    first = protocol.obtain(client, web)
    before = rows(session)[0].last_at
    clock.shift(60)
    second = protocol.obtain(client, web)
    asked = protocol.obtain(client, other)
    found = rows(session)
    browser = session.scalars(select(BrowserSession)).one()
    assert [row.client_id for row in found] == [web.row_id, other.row_id]
    assert {row.session_id for row in found} == {browser.id}
    assert found[0].last_at > before
    sids = {tokens.identity["sid"] for tokens in (first, second, asked)}
    assert {row.sid_sent for row in found} == sids == {browser.sid}


def test_it_is_known_by_every_way_to_a_code(client, session, ann):
    asking = register(session, "asking", require_consent=True)
    asked = protocol.authorize(client, asking, prompt="select_account")
    assert rows(session) == []
    client.post(asked.location, data={})
    protocol.sign_in(client, session, ann)
    web = register(session)
    form = protocol.authorization_parameters(web, **web.post)
    name = client.post("/connect/par", data=form).get_json()["request_uri"]
    query = {"client_id": web.client_id, "request_uri": name}
    protocol.code_of(client.get("/connect/authorize", query_string=query))
    assert [row.client_id for row in rows(session)] == [web.row_id]


def test_it_outlives_grants_and_tokens_and_goes_with_the_session(
    client, session, runtime, ann, clock
):
    web = register(session)
    protocol.obtain(client, web)
    browser = session.scalars(select(BrowserSession)).one()
    session.execute(
        update(BrowserSession).values(expires_at=browser.expires_at + timedelta(days=60))
    )
    session.commit()
    clock.shift(72 * HOUR)
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    session.rollback()
    assert session.scalars(select(Grant)).all() == []
    assert [row.client_id for row in rows(session)] == [web.row_id]
    session.rollback()  # SQLite has one writer
    clock.shift(90 * 24 * HOUR)
    cleanup.run(runtime, threading.Event(), EXPIRIES)
    assert rows(session) == []


def test_signing_out_costs_the_same_with_many_clients(client, session, runtime, ann):
    counted = []
    for number in (1, 8):
        protocol.sign_in(client, session, ann)
        tokens = None
        for which in range(number):
            app = register(session, f"web-{number}-{which}")
            scope = "openid offline_access" if which % 2 else "openid"
            tokens = protocol.obtain(client, app, scope)
        seen = []

        def note(_connection, _cursor, statement, *_rest, seen=seen):
            seen.append(statement)

        event.listen(runtime.engine, "before_cursor_execute", note)
        query = {"id_token_hint": tokens.body["id_token"]}
        answer = client.get("/connect/endsession", query_string=query)
        event.remove(runtime.engine, "before_cursor_execute", note)
        assert answer.status_code == 303
        counted.append(len(seen))
    assert counted[0] == counted[1]
    session.rollback()
    grants = session.scalars(select(Grant)).all()
    # Offline access is for when the person is not there.
    offline = ["offline_access" in grant.scopes for grant in grants]
    assert [grant.revoked_at is None for grant in grants] == offline
    assert any(offline)
