"""Attacks by quantity on what anybody may send without proving anything."""

from __future__ import annotations

import base64

import pytest
from sqlalchemy import func, select

from idp.oauth.models import AuthorizationRequest
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.protocol import add_api, authorize, register, register_machine

pytestmark = pytest.mark.no_database


def rows(session):
    return session.scalar(select(func.count()).select_from(AuthorizationRequest))


def test_a_kept_request_cannot_be_large(client, session):
    # Requests are kept for an hour, and anybody may send one.
    app = register(session)
    junk = "x" * 40_000
    good = protocol.authorization_parameters(app)
    for parameters in ({**good, "state": junk}, {**good, junk: "y"}):
        answer = client.post("/connect/authorize", data=parameters)
        assert answer.status_code == 400
    for path in ("/connect/authorize", "/connect/endsession"):
        assert client.post(path, data={"state": junk}).status_code == 400
    assert authorize(client, app, nonce=junk).status_code == 414
    assert rows(session) == 0
    assert client.post("/connect/authorize", data={**good, "state": "x" * 4000}).status_code == 303


def test_nobody_fills_the_table_of_kept_requests(client, session, monkeypatch):
    from idp.oauth import pending

    monkeypatch.setattr(pending, "KEPT_PER_MINUTE", 5)
    app = register(session)
    statuses = [authorize(client, app).status_code for _ in range(4)]
    statuses += [client.post("/connect/endsession", data={"state": "x"}).status_code]
    assert statuses == [303] * 5
    for _ in range(3):
        refused = client.post("/connect/endsession", data={"state": "x"})
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert authorize(client, app).status_code == 429
    assert rows(session) == 5
    elsewhere = client.post(
        "/connect/endsession",
        data={"state": "x"},
        environ_overrides={"REMOTE_ADDR": "127.0.0.9"},
    )
    assert elsewhere.status_code == 303


def test_nobody_fills_the_database_with_large_requests(client, session, monkeypatch):
    from idp.oauth import pending

    app = register(session)
    elsewhere = {"REMOTE_ADDR": "127.0.0.9"}

    def keep(**options):
        form = {**protocol.authorization_parameters(app), "state": "x" * 20_000}
        return client.post("/connect/authorize", data=form, **options)

    monkeypatch.setattr(pending, "BYTES_PER_ADDRESS", 50_000)
    assert [keep().status_code for _ in range(2)] == [303, 303]
    refused = keep()
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert keep(environ_overrides=elsewhere).status_code == 303
    assert rows(session) == 3


def test_many_networks_of_one_visitor_keep_as_many_requests_as_one_network(
    client, session, monkeypatch
):
    from idp.oauth import pending

    monkeypatch.setattr(pending, "KEPT_PER_MINUTE", 5)
    app = register(session)
    statuses = []
    for number in range(30):
        client.environ_base["REMOTE_ADDR"] = f"2001:db8:1:{number:x}::1"
        statuses.append(authorize(client, app).status_code)
    assert statuses == [303] * 10 + [429] * 20


def test_failures_from_many_networks_of_one_visitor_leave_few_rows(client, session):
    for number in range(60):
        form = {"grant_type": "client_credentials", "client_id": "invented", "client_secret": "x"}
        address = {"REMOTE_ADDR": f"2001:db8:1:{number:x}::1"}
        client.post("/connect/token", data=form, environ_overrides=address)
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.CLIENT_REFUSED)).all()
    assert len(events) == 20


def test_invented_clients_push_nothing_out_of_memory(client, session, runtime):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    assert protocol.machine_token(client, app).status_code == 200
    cache = runtime.cache
    cache._poll_seconds = 3600
    assert protocol.machine_token(client, app).status_code == 200
    known = set(cache._entries)
    for number in range(30):
        form = {"grant_type": "client_credentials", "client_secret": "x" * 30}
        for name in (f"invented-{number}", "x" * 50_000 + str(number)):
            answer = client.post("/connect/token", data={**form, "client_id": name})
            assert answer.status_code == 401
            asked = client.post(
                "/connect/introspect", data={"token": "x", "client_id": name, "client_secret": "y"}
            )
            assert asked.status_code == 401
    grown = [key for key in set(cache._entries) - known if "nvented" in str(key)]
    assert grown == []
    assert len(cache._absent) <= 100
    assert all(len(str(key)) < 300 for key in (*cache._absent, *cache._entries))


def test_a_flood_of_failures_leaves_a_trace_and_no_flood_of_rows(client, session):
    add_api(session)
    register_machine(session, scopes=["orders.read"])
    form = {"grant_type": "client_credentials", "client_secret": "x" * 30}
    for number in range(30):
        client.post("/connect/token", data={**form, "client_id": f"invented-{number}"})
    for _ in range(3):
        client.post("/connect/token", data={**form, "client_id": "machine"})
    encoded = base64.b64encode(b"machine:" + b"x" * 30).decode()
    client.post(
        "/connect/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {encoded}"},
    )
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.CLIENT_REFUSED)).all()
    names = [event.client_id for event in events]
    assert len([name for name in names if name.startswith("invented")]) == 10
    # Noise from the same address hides nothing that is done to a client that exists.
    assert names.count("machine") == 4
