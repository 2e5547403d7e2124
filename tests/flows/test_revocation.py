"""The revocation endpoint (RFC 7009)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.oauth.models import Grant, RevokedToken
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.protocol import (
    add_api,
    add_person,
    is_active,
    machine_token,
    obtain,
    refresh,
    register,
    register_machine,
)


def revoke(client, app, token, **parameters):
    answer = client.post("/connect/revocation", data={"token": token, **app.post, **parameters})
    assert answer.status_code == 200
    assert answer.get_data() == b""
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_access_token_ends_alone(client, session):
    add_api(session)
    web = register(session)
    opaque = register(session, "opaque", access_token_type=1)
    machine = register_machine(session, scopes=["orders.read"])
    user = add_person(session)
    protocol.sign_in(client, session, user)
    for app in (web, opaque):
        tokens = obtain(client, app, "openid offline_access")
        newer = refresh(client, app, tokens.refresh).get_json()
        revoke(client, app, tokens.access)
        assert not is_active(client, app, tokens.access)
        gone = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
        assert gone.status_code == 401
        assert is_active(client, app, newer["access_token"])
        assert refresh(client, app, newer["refresh_token"]).status_code == 200
        revoke(client, app, tokens.access)
    own = machine_token(client, machine).get_json()["access_token"]
    revoke(client, machine, own)
    assert not is_active(client, machine, own)
    assert is_active(client, machine, machine_token(client, machine).get_json()["access_token"])
    # One row for each JWT; a reference token is marked where it is.
    assert len(session.scalars(select(RevokedToken)).all()) == 2
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.TOKEN_REVOKED)).all()
    assert [event.user_id for event in events] == [user.id, user.id, None]


def test_a_refresh_token_takes_its_family_along(client, session):
    # RFC 7009 2.1
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, app, "openid offline_access")
    newer = refresh(client, app, tokens.refresh).get_json()
    other = obtain(client, app, "openid offline_access")
    # The one that was rotated away names the same family.
    revoke(client, app, tokens.refresh, token_type_hint="access_token")
    for token in (tokens.access, newer["access_token"], newer["refresh_token"]):
        assert not is_active(client, app, token)
    refused = refresh(client, app, newer["refresh_token"])
    assert refused.get_json()["error"] == "invalid_grant"
    assert is_active(client, app, other.access)
    reasons = session.scalars(select(Grant.revoked_reason).order_by(Grant.id)).all()
    assert reasons == ["revoked by the client", None]


@pytest.mark.no_database
def test_an_unknown_token_is_no_error(client, session):
    app = register(session)
    for token in ("x", "a.b.c", "rt_x", "at_x", "é", "x" * 100_000):
        revoke(client, app, token)
    assert client.post("/connect/revocation", data=app.post).status_code == 400
    assert client.post("/connect/revocation", data={"token": "x"}).status_code == 401
    wrong = {"token": "x", "client_id": "web", "client_secret": "x" * 30}
    assert client.post("/connect/revocation", data=wrong).status_code == 401


@pytest.mark.no_database
def test_a_public_client_revokes_its_own(client, session):
    spa = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, spa, "openid offline_access")
    revoke(client, spa, tokens.refresh)
    assert refresh(client, spa, tokens.refresh).get_json()["error"] == "invalid_grant"
