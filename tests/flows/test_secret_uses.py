"""When each secret was last used: noted without a statement, written once a minute."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import delete, select

from idp.directory.clients import service as clients
from idp.directory.clients.models import ClientSecret, ClientSecretUse
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiSecret, ApiSecretUse
from idp.oauth.client_auth import uses
from idp.platform.changes import last_configuration
from idp.platform.clock import now
from idp.platform.db import ConfigurationVersion
from idp.platform.recent_uses import RecentUses
from tests import protocol
from tests.api.center import statements


@pytest.fixture
def robot(session):
    protocol.add_api(session)
    return protocol.register_machine(session, scopes=["orders.read"])


def used(session, table=ClientSecretUse):
    session.rollback()
    found = dict(session.execute(select(table.secret_id, table.used_at)).all())
    session.rollback()  # SQLite has one writer
    return found


def secret_of(session, app, table=ClientSecret):
    return session.scalars(select(table.id).where(table.client_id == app.row_id)).one()


def is_issued(client, app, **how):
    return protocol.machine_token(client, app, **how).status_code == 200


def test_a_use_is_written_later_and_not_by_its_request(client, session, runtime, robot, clock):
    assert is_issued(client, robot)
    assert used(session) == {}
    first = now()
    uses.write(runtime)
    assert used(session) == {secret_of(session, robot): first}
    clock.shift(90)
    assert is_issued(client, robot)
    uses.write(runtime)
    (at,) = used(session).values()
    assert (at - first).total_seconds() == 90


def test_the_secret_that_was_shown_is_noted_and_no_other(client, session, runtime, robot):
    first = secret_of(session, robot)
    row = clients.get(session, robot.client_id)
    clients.add_secret(session, row, "another-secret-of-some-length")
    session.commit()
    assert is_issued(client, robot)
    uses.write(runtime)
    assert list(used(session)) == [first]


def test_a_refused_secret_is_not_noted(client, session, runtime, robot):
    form = {"grant_type": "client_credentials", "client_id": robot.client_id}
    answer = client.post("/connect/token", data={**form, "client_secret": "wrong"})
    assert answer.status_code == 401
    session.scalars(select(ClientSecret)).one().expires_at = now()
    session.commit()
    assert not is_issued(client, robot)
    uses.write(runtime)
    assert used(session) == {}


def test_introspection_by_an_api_is_noted_too(client, session, runtime, robot):
    api = session.scalars(select(ApiResource).where(ApiResource.name == "orders")).one()
    secret = resources.add_secret(session, api)
    session.commit()
    token = protocol.machine_token(client, robot).get_json()["access_token"]
    form = {"token": token, "client_id": "orders", "client_secret": secret}
    assert client.post("/connect/introspect", data=form).get_json()["active"]
    uses.write(runtime)
    assert list(used(session, ApiSecretUse)) == list(session.scalars(select(ApiSecret.id)))


def test_a_secret_that_was_removed_meanwhile_is_left_out(client, session, runtime, robot):
    assert is_issued(client, robot)
    runtime.uses.note(uses.CLIENT, 999_999)
    session.execute(delete(ClientSecret))
    session.commit()
    uses.write(runtime)
    assert used(session) == {}


def test_a_late_worker_does_not_turn_the_time_back(session, runtime, robot, clock):
    secret_id = secret_of(session, robot)
    before = now()
    clock.shift(60)
    after = now()
    for at in (after, before):
        uses.store(session, {(uses.CLIENT, secret_id): at})
    session.commit()
    assert used(session) == {secret_id: after}


def test_writing_empties_no_cache(client, session, runtime, robot):
    assert is_issued(client, robot)
    version = select(ConfigurationVersion)
    before = [row.version for row in session.scalars(version)], last_configuration()
    session.rollback()
    uses.write(runtime)
    assert len(used(session)) == 1
    after = [row.version for row in session.scalars(version)], last_configuration()
    assert after == before


def test_a_database_that_fails_is_no_error(runtime, session, robot, monkeypatch):
    runtime.uses.note(uses.CLIENT, secret_of(session, robot))
    session.execute(ClientSecretUse.__table__.delete())
    session.rollback()
    monkeypatch.setattr(uses, "_TABLES", {uses.CLIENT: (ClientSecret, ApiSecretUse)})
    with statements(runtime.engine):
        uses.write(runtime)
    assert used(session) == {}
    assert not runtime.uses.take()


@pytest.mark.no_database
def test_uses_are_due_after_a_minute(monkeypatch):
    recent = RecentUses()
    moment = time.monotonic()
    recent.note("client", 1)
    assert not recent.is_due()
    monkeypatch.setattr(time, "monotonic", lambda: moment + 61)
    assert recent.is_due()
    assert list(recent.take()) == [("client", 1)]
    assert not recent.is_due()
    assert not recent.take()
    recent.note("client", 1)
    assert not recent.is_due()


def test_behind_a_wsgi_server_a_request_after_a_minute_writes(
    client, session, runtime, robot, monkeypatch
):
    assert is_issued(client, robot)
    moment = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: moment + 61)
    client.get("/.well-known/openid-configuration")
    assert list(used(session)) == [secret_of(session, robot)]
