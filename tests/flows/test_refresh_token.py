"""The refresh token grant, end to end."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from idp import jobs
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client
from idp.oauth.models import Grant, RefreshFamily
from idp.platform.jobs import cleanup
from tests import protocol
from tests.protocol import Tokens, add_api, add_person, obtain, refresh, register

DAY = 86_400


def sign_in(client, session, **settings):
    app = register(session, scopes=("openid", "email", "orders.read", "orders.write"), **settings)
    user = add_person(session, email="ann@app.example")
    protocol.sign_in(client, session, user)
    return app, user


def renewed(client, app, token, **parameters):
    answer = refresh(client, app, token, **parameters)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return Tokens(answer.get_json())


def error_of(answer):
    assert answer.status_code == 400, answer.get_data(as_text=True)
    return answer.get_json()["error"]


def test_a_refresh_gives_fresh_tokens_and_rotates(client, session, clock):
    add_api(session)
    app, user = sign_in(client, session)
    first = obtain(client, app, "openid email orders.read offline_access")
    clock.shift(60)
    second = renewed(client, app, first.refresh)
    assert second.refresh != first.refresh
    assert second.body["scope"] == "openid email orders.read offline_access"
    assert second.claims["sub"] == str(user.id)
    assert second.claims["jti"] != first.claims["jti"]
    assert second.claims["iat"] == first.claims["iat"] + 60
    # OpenID Connect Core 12.2: the sign-in is still the same one.
    for name in ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr"):
        assert second.identity[name] == first.identity[name], name
    assert second.identity["iat"] == first.identity["iat"] + 60
    assert "nonce" not in second.identity
    assert "at_hash" in second.identity
    third = renewed(client, app, second.refresh)
    assert protocol.is_active(client, app, third.access)
    assert not protocol.is_active(client, app, first.refresh)
    # However often it was rotated, one row.
    assert session.scalars(select(RefreshFamily.generation)).all() == [2]
    assert session.scalar(select(func.count()).select_from(Grant)) == 1


@pytest.mark.no_database
def test_without_offline_access_there_is_no_refresh_token(client, session):
    app = register(session)
    online = register(session, "online", grants=("authorization_code",))
    protocol.sign_in(client, session, add_person(session))
    assert "refresh_token" not in obtain(client, app).body
    # OpenID Connect Core 11: ignored where the client may not have it.
    tokens = obtain(client, online, "openid offline_access").body
    assert tokens["scope"] == "openid"
    assert "refresh_token" not in tokens
    answer = refresh(client, online, "rt_x")
    assert error_of(answer) == "unauthorized_client"


def test_a_retry_inside_the_window_gets_the_same_successor(client, session, clock):
    add_api(session)
    app, _ = sign_in(client, session)
    first = obtain(client, app, "openid offline_access")
    second = renewed(client, app, first.refresh)
    clock.shift(59)
    assert renewed(client, app, first.refresh).refresh == second.refresh
    third = renewed(client, app, second.refresh)
    clock.shift(59)
    assert renewed(client, app, second.refresh).refresh == third.refresh
    assert session.scalars(select(RefreshFamily.generation)).all() == [2]


def test_the_window_for_retries_is_a_setting_of_the_client(
    client, session, clock, runtime, monkeypatch
):
    monkeypatch.setattr("idp.platform.jobs.cleanup.PAUSE_SECONDS", 0)
    add_api(session)
    sliding = {"refresh_token_expiration": 0, "sliding_refresh_token_lifetime": 600}
    app, _ = sign_in(client, session, refresh_token_reuse_seconds=DAY, **sliding)
    never = register(session, "never", refresh_token_reuse_seconds=0)
    first = obtain(client, app, "openid offline_access")
    second = renewed(client, app, first.refresh)
    once = obtain(client, never, "openid offline_access")
    assert renewed(client, never, once.refresh).refresh
    assert error_of(refresh(client, never, once.refresh)) == "invalid_grant"
    # What is remembered of the used token outlives its own ten minutes.
    clock.shift(DAY - 1)
    cleanup.run(runtime, threading.Event(), jobs.EXPIRIES)
    assert renewed(client, app, first.refresh).refresh == second.refresh
    clock.shift(1)
    assert error_of(refresh(client, app, first.refresh)) == "invalid_grant"
    reasons = session.scalars(select(Grant.revoked_reason))
    assert set(reasons) == {"refresh token reused"}


@pytest.mark.no_database
def test_a_reusable_token_stays_the_same(client, session, clock):
    add_api(session)
    app, _ = sign_in(client, session, refresh_token_usage=0)
    first = obtain(client, app, "openid offline_access")
    for _ in range(3):
        clock.shift(120)
        assert renewed(client, app, first.refresh).refresh == first.refresh


@pytest.mark.no_database
def test_absolute_and_sliding_lifetimes(client, session, clock):
    add_api(session)
    absolute, _ = sign_in(client, session, absolute_refresh_token_lifetime=10 * DAY)
    sliding = {
        "absolute_refresh_token_lifetime": 10 * DAY,
        "sliding_refresh_token_lifetime": 4 * DAY,
        "refresh_token_expiration": 0,
    }
    once = register(session, "once", **sliding)
    many = register(session, "many", refresh_token_usage=0, **sliding)
    idle = register(session, "idle", **sliding)
    apps = (absolute, once, many, idle)
    tokens = {app: obtain(client, app, "openid offline_access").refresh for app in apps}
    for _ in range(3):
        clock.shift(3 * DAY)
        for app in (absolute, once, many):
            tokens[app] = renewed(client, app, tokens[app]).refresh
    assert error_of(refresh(client, idle, tokens[idle])) == "invalid_grant"
    clock.shift(DAY - 1)
    for app in (absolute, once, many):
        tokens[app] = renewed(client, app, tokens[app]).refresh
    clock.shift(1)
    for app in (absolute, once, many):
        assert error_of(refresh(client, app, tokens[app])) == "invalid_grant"


def test_scope_and_resource_narrow_the_access_token_and_not_the_next_refresh(client, session):
    add_api(session)
    add_api(session, "stock", ["stock.read"])
    app = register(session, scopes=("openid", "orders.read", "orders.write", "stock.read"))
    protocol.sign_in(client, session, add_person(session))
    everything = "openid orders.read orders.write stock.read offline_access"
    tokens = obtain(client, app, everything)
    narrow = renewed(client, app, tokens.refresh, scope="orders.read")
    assert narrow.body["scope"] == narrow.claims["scope"] == "orders.read"
    assert narrow.claims["aud"] == "orders"
    assert "id_token" not in narrow.body
    by_resource = renewed(client, app, narrow.refresh, resource="stock")
    assert by_resource.claims["aud"] == "stock"
    assert by_resource.body["scope"] == "openid stock.read offline_access"
    both = renewed(
        client, app, by_resource.refresh, scope="orders.read stock.read", resource="stock"
    )
    assert both.body["scope"] == "stock.read"
    full = renewed(client, app, both.refresh)
    assert full.body["scope"] == everything

    # What the authorization request named is the limit (RFC 8707 2.2).
    limited = obtain(client, app, everything, resource="orders")
    assert limited.claims["aud"] == "orders"
    for other in ("stock", "http://127.0.0.1:8000"):
        refused = refresh(client, app, limited.refresh, resource=other)
        assert error_of(refused) == "invalid_target"
    again = renewed(client, app, limited.refresh)
    assert again.claims["aud"] == "orders"


def test_a_scope_taken_from_the_client_is_left_out_and_the_rest_goes_on(client, session):
    add_api(session)
    app, _ = sign_in(client, session)
    everything = "openid email orders.read orders.write offline_access"
    tokens = obtain(client, app, everything)
    row = session.get_one(Client, app.row_id)
    clients.set_scopes(session, row, ["openid", "email", "orders.read"])
    session.commit()
    left = "openid email orders.read offline_access"
    again = renewed(client, app, tokens.refresh, scope=everything)
    assert again.body["scope"] == again.claims["scope"] == left
    assert renewed(client, app, again.refresh).body["scope"] == left
    ignored = renewed(client, app, again.refresh, scope="orders.read no.such")
    assert ignored.body["scope"] == "orders.read"
    part = renewed(client, app, again.refresh, scope="orders.write orders.read")
    assert part.body["scope"] == "orders.read"
    # Nothing left, or something that was never granted: nothing is given.
    for scope in ("orders.write", "orders.read profile"):
        refused = refresh(client, app, again.refresh, scope=scope)
        assert error_of(refused) == "invalid_scope"


def test_roles_and_permissions_are_computed_again(client, session):
    api = add_api(session)
    app, user = sign_in(client, session)
    tokens = obtain(client, app, "openid orders.read offline_access")
    assert tokens.claims["permission"] == []
    protocol.add_role(session, user, "clerk", ["orders.approve"], api=api)
    newer = renewed(client, app, tokens.refresh)
    assert newer.claims["role"] == ["clerk"]
    assert newer.claims["permission"] == ["orders.approve"]


@pytest.mark.no_database
def test_a_public_client_rotates_without_a_secret(client, session):
    spa = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, spa, "openid offline_access")
    assert renewed(client, spa, tokens.refresh).refresh != tokens.refresh


@pytest.mark.no_database
def test_a_sign_out_ends_online_grants_and_leaves_offline_ones(client, session):
    # OpenID Connect Core 11: offline access is for when the person is not there.
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    offline = obtain(client, app, "openid offline_access")
    online = obtain(client, app)
    client.get("/connect/endsession", query_string={"id_token_hint": online.body["id_token"]})
    assert not protocol.is_active(client, app, online.access)
    assert protocol.is_active(client, app, offline.access)
    assert renewed(client, app, offline.refresh)
